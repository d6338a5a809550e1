"""From AnnData to a trained model and its latent space."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from scsemst.graphs import feature_graph, gene_mixing, spatial_graph

from .batch import make_batch
from .components import averaging_operator, spatial_components
from .expression import read_expression
from .fit import fit
from .model import build_model
from .semantics import read_gene_vectors, read_semantics

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst.nn import SemST

    from .fit import History
    from .presets import Preset

__all__ = ["Trained", "override", "train"]

# Principal components in which spots of like expression are found.
N_FEATURE_COMPONENTS = 30


@dataclass(frozen=True)
class Trained:
    """A trained model and what it made of its data."""

    model: SemST
    latent: np.ndarray
    """Latent vectors, dimensions by decreasing variance, shape `(n_obs, n_latent)`."""
    history: History
    genes: np.ndarray
    """Positions of the genes that the model reads."""


def train(
    adata: AnnData,
    preset: Preset,
    *,
    semantics_key: str | None,
    neighbors_key: str,
    layer: str | None,
    n_top_genes: int,
    likelihood: str,
    device: torch.device,
    rng: np.random.Generator,
    progress: bool = True,
) -> Trained:
    """Train SemST on a slice; `adata` is only read.

    Parameters are those of :func:`scsemst.tl.semst`.
    """
    spatial = spatial_graph(adata, neighbors_key)
    semantics = read_semantics(adata, semantics_key)
    expression = read_expression(adata, layer=layer, n_top_genes=n_top_genes, likelihood=likelihood)
    mixing = None
    if preset.gene_prior and (vectors := read_gene_vectors(adata, semantics_key)) is not None:
        mixing = gene_mixing(vectors[expression.genes], preset.gene_prior)

    seed = int(rng.integers(2**31))
    average = averaging_operator(spatial)
    loadings, mean = spatial_components(expression.inputs, average, preset.hidden_channels, gene_mixing=mixing)
    feature = None
    if preset.feature_view:
        leading = loadings[:, :N_FEATURE_COMPONENTS]
        projected = expression.inputs @ (leading if mixing is None else mixing @ leading)
        feature = feature_graph(average @ (average @ projected), preset.n_neighbors, random_state=seed)

    model = build_model(
        expression,
        preset,
        likelihood=likelihood,
        n_latent=preset.n_latent,
        semantic_channels=None if semantics is None else semantics.shape[1],
        components=(loadings, mean),
        seed=seed,
    ).to(device)
    batch = make_batch(
        expression.inputs,
        expression.targets,
        expression.log_library,
        spatial,
        feature,
        semantics,
        core=adata.n_obs,
        gene_mixing=mixing,
        normalization=preset.normalization,
    ).to(device)
    history = fit(model, [batch], preset, epochs=preset.epochs, rng=rng, progress=progress)
    with torch.no_grad():
        latent = model(batch.x, batch.spatial_graph, batch.feature_graph, batch.semantics).cpu().numpy()
    for _ in range(preset.readout_hops):
        latent = average @ latent
    return Trained(model, principal_axes(latent), history, expression.genes)


def principal_axes(latent: np.ndarray) -> np.ndarray:
    """Rotate a latent space to its principal axes, so that its leading dimensions hold most of its variance."""
    centred = latent.astype(np.float64) - latent.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return (centred @ axes).astype(np.float32)


def override(preset: Preset, **values: object) -> Preset:
    """Return the preset with the values that are not `None` in their places."""
    return dataclasses.replace(preset, **{name: value for name, value in values.items() if value is not None})
