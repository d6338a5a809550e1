"""All of `tl.semst` but the writing: checks, training, consensus."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scsemst._checks import require_in, require_integer
from scsemst.domains.consensus import consensus, fit_mixtures

from .device import resolve_device
from .presets import PRESETS
from .record import run_record
from .train import override, train

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst.domains.mixture import MixtureResult

    from .presets import Preset
    from .train import Trained

__all__ = ["Run", "run"]


@dataclass(frozen=True)
class Run:
    """A trained model, its domains and what is recorded of both."""

    trained: Trained
    labels: np.ndarray | None
    """Domains from 0 to K - 1, shape `(n_obs,)`, if a number was asked for."""
    mixtures: list[MixtureResult]
    """What the domains are the consensus of."""
    preset: Preset
    record: dict[str, Any]
    """What `uns` keeps."""


def run(adata: AnnData, n_domains: int | None, options: dict[str, Any]) -> Run:
    """Train on a slice and cluster the latent space; `adata` is only read.

    Parameters
    ----------
    adata
        The slice.
    n_domains
        Number of domains, or `None`.
    options
        The other parameters of :func:`scsemst.tl.semst`, all of them but `key_added` and `copy`.
    """
    _check(adata, n_domains, options)
    preset = override(PRESETS[options["preset"]], n_latent=options["n_latent"], epochs=options["epochs"])
    rng = options["rng"]
    generator = np.random.default_rng(rng)
    named = ("semantics_key", "neighbors_key", "layer", "n_top_genes", "likelihood")
    settings = {name: options[name] for name in named}
    rest = {name: options[name] for name in ("batch_size", "progress")}
    trained = train(adata, preset, **settings, **rest, device=resolve_device(options["device"]), rng=generator)
    labels, mixtures = None, []
    if n_domains is not None:
        mixtures = fit_mixtures(trained.latent, n_domains, rng=generator)
        labels = consensus([mixture.labels for mixture in mixtures], n_domains)
    params = {
        "n_domains": n_domains,
        **settings,
        "n_genes": trained.genes.size,
        "preset": options["preset"],
        "rng": rng if isinstance(rng, int | np.integer) else None,
        **dataclasses.asdict(preset),
        "batch_size": trained.batch_size,
    }
    record = run_record(adata, params, trained.history, options["semantics_key"])
    return Run(trained, labels, mixtures, preset, record)


def _check(adata: AnnData, n_domains: int | None, options: dict[str, Any]) -> None:
    require_in(options["preset"], PRESETS, name="preset")
    require_in(options["likelihood"], ("zinb", "nb", "poisson", "gaussian"), name="likelihood")
    require_integer(options["n_top_genes"], name="n_top_genes", minimum=1)
    if n_domains is not None:
        hint = "There cannot be more domains than spots."
        require_integer(n_domains, name="n_domains", minimum=1, maximum=adata.n_obs, hint=hint)
    for name in ("n_latent", "epochs", "batch_size"):
        if options[name] is not None:
            require_integer(options[name], name=name, minimum=1)
