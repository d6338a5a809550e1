"""The user's squidpy graph, read and checked."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from .. import _keys
from .._checks import require_key

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["spatial_graph"]

_SAMPLE = 2000  # edges and pairs whose lengths are compared
_ENOUGH = 50  # spots and edges: fewer say nothing about a graph
_FIX = "Run squidpy.gr.spatial_neighbors_knn(adata, n_neighs=6) first, or pass neighbors_key=."


def spatial_graph(adata: AnnData, key: str = _keys.SPATIAL_CONNECTIVITIES) -> sparse.csr_matrix:
    """Return squidpy's spatial graph, undirected and without self-loops.

    squidpy's k-nearest-neighbour graphs are directed: a pair counts as neighbours here if either spot names the other.

    Parameters
    ----------
    adata
        Annotated data with `obsp[key]`.
    key
        Key of the graph in `obsp`.

    Returns
    -------
    Symmetric float32 matrix of shape `(n_obs, n_obs)`; spots without neighbours have empty rows.

    Raises
    ------
    KeyError
        If there is no such graph.
    ValueError
        If it has negative or NaN weights, no edge at all, or distances instead of connectivities.

    Warns
    -----
    UserWarning
        If it joins spots that are as far from each other as any: the graph of another slice, or of another order of
        spots.
    """
    stored = require_key(adata, "obsp", key, fix=_FIX)
    graph = sparse.csr_matrix(stored.compute() if hasattr(stored, "dask") else stored, dtype=np.float32)
    name = f"adata.obsp[{key!r}]"
    if not np.isfinite(graph.data).all() or (graph.nnz and graph.data.min() < 0):
        raise ValueError(f"{name} has negative, NaN or infinite weights: it is not a graph of connectivities. {_FIX}")
    graph = sparse.csr_matrix(graph.maximum(graph.T))
    graph.setdiag(0)
    graph.eliminate_zeros()
    graph.sort_indices()
    if graph.nnz == 0:
        raise ValueError(f"{name} has no edges between different spots. {_FIX}")
    coords = _coordinates(adata)
    if coords is not None:
        _compare(graph, coords, name)
    return graph


def _coordinates(adata: AnnData) -> np.ndarray | None:
    """Return the coordinates in double precision, of whatever type they are; nothing without such numbers."""
    coords = adata.obsm.get(_keys.SPATIAL)
    if not isinstance(coords, np.ndarray) or coords.ndim != 2:
        return None
    try:  # whole numbers without sign would have no differences below zero
        return coords.astype(np.float64)
    except (TypeError, ValueError):
        return None


def _compare(graph: sparse.csr_matrix, coords: np.ndarray, name: str) -> None:
    """Raise if weights are distances in the tissue, and warn if neighbours in the graph are no neighbours there."""
    rng = np.random.default_rng(0)
    coo = graph.tocoo()
    edges = rng.integers(coo.nnz, size=_SAMPLE)
    joined = np.linalg.norm(coords[coo.row[edges]] - coords[coo.col[edges]], axis=1)
    if graph.data.max() > 1 and np.allclose(coo.data[edges], joined, rtol=1e-3):
        raise ValueError(
            f"{name} holds distances between spots: the farthest neighbours would weigh most. Pass the connectivities "
            f"beside them, neighbors_key={_keys.SPATIAL_CONNECTIVITIES!r} by default."
        )
    if min(len(coords), graph.nnz) < _ENOUGH:
        return
    pairs = rng.integers(len(coords), size=(2, _SAMPLE))
    any_two = np.linalg.norm(coords[pairs[0]] - coords[pairs[1]], axis=1)
    if np.median(joined) > 0.7 * np.median(any_two) > 0:
        warnings.warn(
            f"{name} joins spots that are as far from each other as any two (median distance {np.median(joined):.4g}, of "
            f"random pairs {np.median(any_two):.4g}): it looks like the graph of another slice, or of these spots in "
            f"another order. {_FIX}",
            stacklevel=3,
        )
