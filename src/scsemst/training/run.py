"""All of `tl.semst` but the writing: checks, training, consensus."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scsemst import _keys
from scsemst._checks import as_generator, require_in, require_integer
from scsemst._device import resolve_device
from scsemst._results import clear_results
from scsemst.domains.consensus import consensus, fit_mixtures
from scsemst.domains.labels import categorical
from scsemst.domains.stability import CANDIDATES, Stability, fit_stability, usable
from scsemst.graphs import spatial_graph

from .harmony import harmonize, require_harmony
from .modulate import affine, store_fsm
from .presets import PRESETS
from .record import run_record, seed_record
from .slices import read_slices, share_between
from .train import override, principal_axes, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

    from scsemst.domains.mixture import MixtureResult

    from .presets import Preset
    from .train import Trained

__all__ = ["Run", "check_options", "run", "write"]

log = logging.getLogger("scsemst")


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
    stability: Stability | None
    """Scores of numbers of domains, if one of them was to be chosen."""
    modulation: tuple[np.ndarray, np.ndarray] | None
    """α and β, if they are to be stored."""

    def remove_checkpoint(self) -> None:
        """Remove where training was kept, once the results are where they belong."""
        if self.trained.checkpoint is not None:
            self.trained.checkpoint.remove()


def run(
    adata: AnnData,
    n_domains: int | Literal["auto"] | None,
    options: dict[str, Any],
    *,
    train: Callable[..., Trained] = train,
) -> Run:
    """Train on a slice and cluster the latent space; `adata` is only read.

    Parameters
    ----------
    adata
        The slice.
    n_domains
        Number of domains, `"auto"` to choose it, or `None`.
    options
        The other parameters of :func:`scsemst.tl.semst`, all of them but `key_added` and `copy`.
    train
        What trains: this process alone by default.
    """
    check_options(options)
    if isinstance(n_domains, str):
        require_in(n_domains, ("auto",), name="n_domains")
        usable(CANDIDATES, adata.n_obs)
    elif n_domains is not None:
        hint = "There cannot be more domains than spots."
        require_integer(n_domains, name="n_domains", minimum=1, maximum=adata.n_obs, hint=hint)
    preset = override(PRESETS[options["preset"]], n_latent=options["n_latent"], epochs=options["epochs"])
    generator = as_generator(options["rng"])
    seed = seed_record(options["rng"], generator)
    named = ("semantics_key", "neighbors_key", "layer", "n_top_genes", "likelihood")
    settings = {name: options[name] for name in named}
    rest = {
        name: options[name] for name in ("batch_size", "precision", "checkpoint_dir", "checkpoint_minutes", "progress")
    }
    slices = read_slices(adata, options["batch_key"])
    if slices is not None:
        share = share_between(spatial_graph(adata, options["neighbors_key"]), slices, options["batch_key"])
    trained = train(
        adata, preset, **settings, **rest, slices=slices, device=resolve_device(options["device"]), rng=generator
    )
    if options["integrate"] is not None and slices is not None:
        latent = principal_axes(harmonize(trained.latent, slices, generator))
        trained = dataclasses.replace(trained, latent=latent)
    found, stability = (None if isinstance(n_domains, str) else n_domains), None
    if n_domains == "auto":
        stability = fit_stability(trained.latent, CANDIDATES, rng=generator, progress=options["progress"])
        found = stability.best
        log.info("%d domains: the number of highest score among those in adata.uns[%r].", found, _keys.N_DOMAINS)
    labels, mixtures = None, []
    if found is not None:
        mixtures = fit_mixtures(trained.latent, found, rng=generator, progress=options["progress"])
        labels = consensus([mixture.labels for mixture in mixtures], found)
    if trained.latent.shape[1] < preset.n_latent:
        log.info("The latent space has %d dimensions: there are no more to be had.", trained.latent.shape[1])
    params = {
        "n_domains": n_domains,
        **settings,
        "batch_key": options["batch_key"],
        "integrate": options["integrate"],
        "n_genes": trained.genes.size,
        "preset": options["preset"],
        **seed,
        **dataclasses.asdict(preset),
        "n_latent": trained.latent.shape[1],
        "batch_size": trained.batch_size,
        "precision": options["precision"],
    }
    record = run_record(adata, params, trained.history, options["semantics_key"])
    if stability is not None:
        record["n_domains"] = found
    if slices is not None:
        record["batches"] = {"names": slices.names, "n_spots": slices.sizes, "share_of_edges_between": share}
    modulation = None
    if trained.semantics is not None and trained.model.fsm is not None:
        fsm, (vectors, standard) = trained.model.fsm, trained.semantics
        record["fsm"] = store_fsm(fsm, standard, n_hops=preset.semantic_hops)
        if options["store_modulation"]:
            modulation = affine(fsm, vectors)
    return Run(trained, labels, mixtures, preset, record, stability, modulation)


def write(adata: AnnData, done: Run, key_added: str) -> None:
    """Write the results of a run to AnnData, in place of those of an earlier run."""
    adata.obsm[_keys.embedding(key_added)] = done.trained.latent
    clear_results(adata, key_added)
    if done.labels is not None:
        adata.obs[key_added] = categorical(done.labels)
    if done.modulation is not None:
        adata.obsm[_keys.alpha(key_added)], adata.obsm[_keys.beta(key_added)] = done.modulation
    if done.stability is not None:
        adata.uns[_keys.N_DOMAINS] = done.stability.record({"use_rep": _keys.embedding(key_added)})
    adata.uns[key_added] = done.record


def check_options(options: dict[str, Any]) -> None:
    """Raise if one of the options is no good, whatever the slice."""
    require_in(options["preset"], PRESETS, name="preset")
    require_in(options["precision"], ("float32", "bf16"), name="precision")
    require_in(options["likelihood"], ("zinb", "nb", "poisson", "gaussian"), name="likelihood")
    require_integer(options["n_top_genes"], name="n_top_genes", minimum=1)
    require_harmony(options["integrate"], options["batch_key"])
    for name in ("n_latent", "epochs", "batch_size"):
        if options[name] is not None:
            require_integer(options[name], name=name, minimum=1)
    if not options["checkpoint_minutes"] >= 0:
        raise ValueError(f"checkpoint_minutes must not be negative, found {options['checkpoint_minutes']}.")
    if options["checkpoint_dir"] is not None and options["rng"] is None:
        raise ValueError(
            "rng=None draws another seed in every run, so that none can be continued. Pass a number with checkpoint_dir=."
        )
