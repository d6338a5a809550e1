"""Where training starts: principal components, from all spots or from enough of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from .components import averaging_operator, spatial_components
from .expression import Expression
from .partition import partition, surroundings

if TYPE_CHECKING:
    from .slices import Slices

__all__ = ["project", "start_components"]

# Components of the genes are known well from so many spots.
_MAX_SPOTS = 100_000
_BLOCK = 16_384


def start_components(
    expression: Expression,
    spatial: sparse.csr_matrix,
    n_components: int,
    *,
    gene_mixing: sparse.csr_matrix | None,
    rng: np.random.Generator,
    slices: Slices | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return loadings and mean as :func:`~scsemst.training.components.spatial_components` does.

    Beyond 100,000 spots they come from random parts of the tissue that hold about as many.
    """
    n = expression.n_spots
    spots = np.arange(n)
    if n > _MAX_SPOTS:
        parts = partition(spatial, -(-n // 5_000))
        chosen = rng.permutation(len(parts))[: max(1, _MAX_SPOTS // 5_000)]
        core = np.sort(np.concatenate([parts[i] for i in chosen]))
        spots = np.concatenate([core, surroundings(spatial, core)])
    inputs, _ = expression.rows(spots)
    average = averaging_operator(sparse.csr_matrix(spatial[spots][:, spots]))
    here = None if slices is None else slices.take(spots)
    loadings, mean = spatial_components(inputs, average, n_components, gene_mixing=gene_mixing, slices=here)
    if slices is not None and spots.size < n:  # parts of the tissue need not have spots of every slice
        mean = _means(expression, averaging_operator(spatial), slices, gene_mixing)
    return loadings, mean


def _means(
    expression: Expression, average: sparse.csr_matrix, slices: Slices, gene_mixing: sparse.csr_matrix | None
) -> np.ndarray:
    """Return each slice's mean of expression averaged twice over the graph, block by block."""
    weights = sparse.csr_matrix(average.T @ (average.T @ slices.member.T)).T.tocsc()
    total = 0.0
    for start in range(0, expression.n_spots, _BLOCK):
        spots = np.arange(start, min(start + _BLOCK, expression.n_spots))
        total = total + (weights[:, spots] @ expression.rows(spots)[0]).toarray()
    mean = total / slices.sizes[:, None]
    return np.asarray(mean if gene_mixing is None else mean @ gene_mixing, dtype=np.float32)


def project(expression: Expression, loadings: np.ndarray, gene_mixing: sparse.csr_matrix | None) -> np.ndarray:
    """Return the scores of all spots on components, block by block, shape `(n_spots, n_components)`."""
    weights = loadings if gene_mixing is None else gene_mixing @ loadings
    out = np.empty((expression.n_spots, weights.shape[1]), dtype=np.float32)
    for start in range(0, expression.n_spots, _BLOCK):
        spots = np.arange(start, min(start + _BLOCK, expression.n_spots))
        out[spots] = expression.rows(spots)[0] @ weights
    return out
