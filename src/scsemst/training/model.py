"""Building the model that a preset describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from scsemst import nn

if TYPE_CHECKING:
    from scipy import sparse

    from .expression import Expression
    from .presets import Preset
    from .slices import Slices

__all__ = ["LIKELIHOODS", "build_model", "start_decoder"]

# Spots that the decoder's start is estimated from.
_START_SPOTS = 50_000

LIKELIHOODS = {"zinb": nn.ZINB, "nb": nn.NB, "poisson": nn.Poisson, "gaussian": nn.Gaussian}


def build_model(
    expression: Expression,
    preset: Preset,
    *,
    likelihood: str,
    n_latent: int,
    semantic_channels: int | None,
    components: tuple[np.ndarray, np.ndarray],
    seed: int,
    slices: Slices | None = None,
) -> nn.SemST:
    """Return an untrained model; the global random state is left as it was.

    Parameters
    ----------
    expression
        What the model will read and explain.
    preset
        Sizes and start.
    likelihood
        Key of `LIKELIHOODS`.
    n_latent
        Size of the latent space.
    semantic_channels
        Size of the semantic vectors; no modulation without.
    components
        Loadings and mean, see :func:`~scsemst.training.components.spatial_components`.
    seed
        Of the weights.
    slices
        Slices that get biases and dispersions of their own.
    """
    n_batches = 1 if slices is None else slices.n
    n_genes = expression.genes.size
    loadings, mean = (torch.tensor(array) for array in components)
    hidden, view = preset.hidden_channels, preset.view_channels
    if preset.warm_start:  # no more components than genes or spots
        hidden = view = min(hidden, loadings.shape[1])
    cls = LIKELIHOODS[likelihood]
    per_spot = tuple(name for name in preset.per_spot if name in cls.others)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed GPUs, too, and nobody put them back
        model = nn.SemST(
            n_genes,
            cls(preset.decoder_channels, n_genes, per_spot=per_spot, n_batches=n_batches),
            hidden_channels=hidden,
            view_channels=view,
            n_latent=min(n_latent, view),
            semantic_channels=semantic_channels,
            feature_view=preset.feature_view,
            activation=preset.activation,
            latent_layers=preset.latent_layers,
            neighbor_loss=nn.NeighborLoss(balanced=preset.balanced_neighbors),
            n_batches=n_batches,
        )
        if preset.warm_start:
            model.start_from(loadings[:, :hidden], mean)
    start_decoder(model.likelihood, expression, slices)
    return model


@torch.no_grad()
def start_decoder(likelihood: nn.Likelihood, expression: Expression, slices: Slices | None = None) -> None:
    """Start at each gene's share of all counts, or its mean and spread, so that training need not find them.

    With several slices, their biases start at what the same says of each of them.
    """
    n = expression.n_spots
    spots = np.arange(n) if n <= _START_SPOTS else np.linspace(0, n - 1, _START_SPOTS).astype(np.int64)
    _, targets = expression.rows(spots)
    mean, scale = _moments(targets, expression, spots)
    likelihood.heads["mean"].bias.copy_(torch.tensor(mean))
    if scale is not None:
        likelihood.per_gene["log_scale"].copy_(torch.tensor(scale))
    if slices is None or likelihood.batch_bias is None:
        return
    codes = slices.codes[spots]
    for i in np.unique(codes):
        rows = np.flatnonzero(codes == i)
        own, scale = _moments(targets[rows], expression, spots[rows])
        likelihood.batch_bias[i].copy_(torch.tensor(own - mean))
        if scale is not None:
            likelihood.per_gene["log_scale"][i].copy_(torch.tensor(scale))


def _moments(
    targets: sparse.csr_matrix, expression: Expression, spots: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the log of each gene's share of the counts or, where there are none, its mean and log standard deviation."""
    mean = np.asarray(targets.mean(axis=0)).ravel()
    if expression.counts and expression.library is not None:
        # A pseudocount of one: a gene may be absent from these spots
        return np.log((mean * spots.size + 1) / (expression.library[spots].sum() + 1)), None
    second_moment = np.asarray(targets.multiply(targets).mean(axis=0)).ravel()
    return mean, np.log(np.sqrt(np.maximum(second_moment - mean**2, 1e-6)))
