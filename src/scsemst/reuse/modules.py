"""The network's shape as plain values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scsemst import nn
from scsemst._checks import require_integer
from scsemst.training.model import LIKELIHOODS

if TYPE_CHECKING:
    from scsemst.nn import SemST

__all__ = ["build_module", "describe_module"]

# The largest that are believed of a file
SIZES = dict.fromkeys(
    (
        "in_channels",
        "hidden_channels",
        "view_channels",
        "n_latent",
        "decoder_channels",
        "semantic_channels",
        "n_batches",
    ),
    10**7,
) | {"latent_layers": 100}


def describe_module(module: SemST) -> dict[str, Any]:
    """Return what :func:`build_module` needs."""
    likelihood, fsm, view = module.likelihood, module.fsm, module.spatial_view
    names = {cls: name for name, cls in LIKELIHOODS.items()}
    return {
        "in_channels": view.first.in_channels,
        "hidden_channels": view.first.out_channels,
        "view_channels": view.second.out_channels,
        "n_latent": module.to_latent[-1].out_features,
        "latent_layers": sum(hasattr(layer, "out_features") for layer in module.to_latent),
        "semantic_channels": None if fsm is None else fsm.semantic_channels,
        "feature_view": module.feature_view is not None,
        "activation": view.activation,
        "likelihood": names[type(likelihood)],
        "n_batches": likelihood.n_batches,
        "decoder_channels": likelihood.in_channels,
        "per_spot": [name for name in likelihood.heads if name != "mean"],
    }


def build_module(description: dict[str, Any]) -> SemST:
    """Return a network of that shape without weights, on torch's meta device: no description makes it fill the memory."""
    import torch

    shape = dict(description)
    for name in SIZES:
        if shape[name] is not None or name != "semantic_channels":
            require_integer(shape[name], name=name, minimum=1, maximum=SIZES[name])
    n_genes = shape.pop("in_channels")
    cls = LIKELIHOODS[shape.pop("likelihood")]
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        likelihood = cls(
            shape.pop("decoder_channels"), n_genes, per_spot=tuple(shape.pop("per_spot")), n_batches=shape["n_batches"]
        )
        return nn.SemST(n_genes, likelihood, **shape).eval()
