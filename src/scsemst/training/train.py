"""From AnnData to a trained model and its latent space."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from scsemst.graphs import local_graph, spatial_graph

from .batches import Batches, automatic_batch_size
from .checkpoint import Checkpoint
from .components import averaging_operator
from .expression import read_expression
from .fingerprint import fingerprint
from .fit import autocast, fit
from .memory import shrinking
from .model import build_model
from .repeats import merge_repeats
from .semantics import read_gene_mixing, read_semantics
from .start import project, start_components

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from scsemst.nn import SemST

    from .history import History
    from .presets import Preset
    from .semantics import Semantics
    from .slices import Slices

__all__ = ["Trained", "override", "principal_axes", "train"]

# Principal components in which spots of like expression are found.
N_FEATURE_COMPONENTS = 30
# Fewest passes over a slice that takes many steps for each.
MIN_EPOCHS = 3


@dataclass(frozen=True)
class Trained:
    """A trained model and what it made of its data."""

    model: SemST
    latent: np.ndarray
    """Latent vectors, dimensions by decreasing variance, shape `(n_obs, n_latent)`."""
    history: History
    genes: np.ndarray
    """Positions of the genes that the model reads."""
    batch_size: int
    """Most spots of a training step."""
    semantics: Semantics | None
    """What the modulation read, if there is one."""
    checkpoint: Checkpoint | None = None
    """Where training was kept; to be removed once nothing more can go wrong."""


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
    batch_size: int | None = None,
    precision: str = "float32",
    checkpoint_dir: str | Path | None = None,
    checkpoint_minutes: float = 5,
    slices: Slices | None = None,
    progress: bool = True,
) -> Trained:
    """Train SemST on a slice; `adata` is only read.

    Parameters are those of :func:`scsemst.tl.semst`; `slices` is what its `batch_key` names.
    """
    begin = rng.bit_generator.state
    spatial = local_graph(spatial_graph(adata, neighbors_key), preset.enough_spots, slices)
    average = averaging_operator(spatial)
    semantics = read_semantics(adata, semantics_key, average=average, n_hops=preset.semantic_hops, slices=slices)
    expression = read_expression(adata, layer=layer, n_top_genes=n_top_genes, likelihood=likelihood, slices=slices)
    mixing = read_gene_mixing(adata, semantics_key, expression.genes, preset.gene_prior)

    n_components = preset.hidden_channels if preset.warm_start else N_FEATURE_COMPONENTS
    components = start_components(expression, spatial, n_components, gene_mixing=mixing, rng=rng, slices=slices)
    projected = None
    if preset.feature_view:
        projected = project(expression, components[0][:, :N_FEATURE_COMPONENTS], mixing)
        projected = average @ (average @ projected)
        projected = projected if slices is None else slices.centred(projected)
    vectors = None if semantics is None else semantics.vectors
    seed = int(rng.integers(2**31))
    size = batch_size or automatic_batch_size(adata.n_obs, expression.genes.size, preset.hidden_channels)
    checkpoint = None
    if checkpoint_dir is not None:
        settings = {"likelihood": likelihood, "batch_size": size, "precision": precision}
        read = None if vectors is None else [vectors]
        marks = fingerprint(adata, expression, spatial, read, preset, begin, slices, **settings)
        checkpoint = Checkpoint(checkpoint_dir, checkpoint_minutes, marks, size)
        size = checkpoint.batch_size
    ready = rng.bit_generator.state

    def attempt(batch_size: int) -> Trained:
        rng.bit_generator.state = ready
        model = build_model(
            expression,
            preset,
            likelihood=likelihood,
            n_latent=preset.n_latent,
            semantic_channels=None if vectors is None else vectors.shape[1],
            components=components,
            seed=seed,
            slices=slices,
        ).to(device)
        batches = Batches(
            expression,
            spatial,
            projected,
            vectors,
            mixing,
            batch_size=batch_size,
            n_neighbors=preset.n_neighbors,
            normalization=preset.normalization,
            device=device,
            slices=slices,
            keep=batch_size == size,  # not where memory was too small
        )
        epochs = enough_epochs(preset.epochs, len(batches))
        options: dict[str, Any] = {"precision": precision, "progress": progress, "checkpoint": checkpoint}
        history = fit(model, batches, preset, epochs=epochs, rng=rng, **options)
        latent = encode(model, batches, precision, progress=progress)
        for _ in range(preset.readout_hops):
            latent = average @ latent
        latent = merge_repeats(latent, adata, expression, slices)
        return Trained(model, principal_axes(latent), history, expression.genes, batch_size, semantics, checkpoint)

    return shrinking(attempt, size, adata.n_obs, discard=None if checkpoint is None else checkpoint.discard)


def enough_epochs(epochs: int, n_steps: int) -> int:
    """Return for how many epochs of so many steps to train: as many steps as over a whole slice, but seeing every spot."""
    return max(min(epochs, MIN_EPOCHS), -(-epochs // n_steps))


@torch.no_grad()
def encode(
    model: SemST,
    batches: Batches,
    precision: str = "float32",
    *,
    parts: Iterable[int] | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return the latent vectors of all spots, shape `(n_spots, n_latent)`; with `parts`, zeros outside of them."""
    out = np.zeros((batches.expression.n_spots, model.to_latent[-1].out_features), dtype=np.float32)
    parts = range(len(batches)) if parts is None else parts
    for i in tqdm(parts, desc="Encoding", unit="part", delay=2, disable=not progress, leave=False):
        batch = batches[i]
        with autocast(batches.device, precision):
            latent = model(batch.x, batch.spatial_graph, batch.feature_graph, batch.semantics, batch.codes)
        out[batches.parts[i]] = latent[batch.core].float().cpu().numpy()
    return out


@threadpool_limits.wrap(limits=1, user_api="blas")  # their number would show in the last digit
def principal_axes(latent: np.ndarray) -> np.ndarray:
    """Rotate a latent space to its principal axes, so that its leading dimensions hold most of its variance."""
    centred = latent.astype(np.float64) - latent.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return (centred @ axes).astype(np.float32)


def override(preset: Preset, **values: Any) -> Preset:
    """Return the preset with the values that are not `None` in their places."""
    return dataclasses.replace(preset, **{name: value for name, value in values.items() if value is not None})
