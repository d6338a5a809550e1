"""Cutting the tissue into parts that fit in memory."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["partition", "surroundings"]


def partition(graph: sparse.csr_matrix, n_parts: int) -> list[np.ndarray]:
    """Cut a graph into parts of about equal size with few edges between them (METIS; Karypis & Kumar, 1998).

    Parameters
    ----------
    graph
        Spatial graph, shape `(n_spots, n_spots)`.
    n_parts
        Number of parts.

    Returns
    -------
    Spots of each part, ascending; together, every spot once. Empty parts are left out.
    """
    n = graph.shape[0]
    if n_parts <= 1:
        return [np.arange(n)]
    import pymetis

    # METIS draws from a generator of its own, whose seed is an option: the same graph gives the same parts
    options = pymetis.Options(seed=0)
    adjacency = pymetis.CSRAdjacency(graph.indptr.astype(np.int64), graph.indices.astype(np.int64))
    membership = np.asarray(pymetis.part_graph(n_parts, adjacency=adjacency, options=options).vertex_part)
    order = np.argsort(membership, kind="stable")
    bounds = np.cumsum(np.bincount(membership, minlength=n_parts))[:-1]
    return [part for part in np.split(order, bounds) if part.size]


def surroundings(graph: sparse.csr_matrix, core: np.ndarray, n_hops: int = 2) -> np.ndarray:
    """Return the spots within `n_hops` of a part that are not in it, ascending.

    With two hops, two graph convolutions over part and surroundings give the part exactly what they would give it
    over the whole graph.
    """
    seen = np.zeros(graph.shape[0], dtype=bool)
    seen[core] = True
    frontier, found = core, []
    for _ in range(n_hops):
        reached = np.unique(graph[frontier].indices)
        frontier = reached[~seen[reached]]
        seen[frontier] = True
        found.append(frontier)
    return np.sort(np.concatenate(found))
