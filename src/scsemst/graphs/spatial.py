"""The user's squidpy graph, read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from .. import _keys
from .._checks import require_key

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["spatial_graph"]

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
        If it has negative or NaN weights, or no edge at all.
    """
    graph = sparse.csr_matrix(require_key(adata, "obsp", key, fix=_FIX), dtype=np.float32)
    name = f"adata.obsp[{key!r}]"
    if not np.isfinite(graph.data).all() or (graph.nnz and graph.data.min() < 0):
        raise ValueError(f"{name} has negative, NaN or infinite weights: it is not a graph of connectivities. {_FIX}")
    graph = sparse.csr_matrix(graph.maximum(graph.T))
    graph.setdiag(0)
    graph.eliminate_zeros()
    graph.sort_indices()
    if graph.nnz == 0:
        raise ValueError(f"{name} has no edges between different spots. {_FIX}")
    return graph
