"""The graph of spots with like expression."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .._threads import keep_torch_threads

__all__ = ["feature_graph"]

# Up to here an exact search is faster than building an index.
_EXACT_SPOTS = 20_000


def feature_graph(z: np.ndarray, n_neighbors: int = 15, *, random_state: int = 0) -> sparse.csr_matrix:
    """Return the k-nearest-neighbour graph of spots in feature space, undirected, without self-loops.

    Exact up to 20,000 spots, approximate beyond (nearest-neighbour descent; Dong et al., 2011), so time stays about
    linear in spots. No N×N array is formed either way.

    Parameters
    ----------
    z
        Features, shape `(n_spots, n_features)`, such as principal components.
    n_neighbors
        Neighbours of each spot, fewer if there are fewer spots.
    random_state
        Seed of the approximate search.

    Returns
    -------
    Symmetric float32 matrix of ones, shape `(n_spots, n_spots)`.
    """
    n = z.shape[0]
    k = min(n_neighbors, n - 1)
    if n <= _EXACT_SPOTS:
        from sklearn.neighbors import kneighbors_graph

        graph = kneighbors_graph(z, k) if k else sparse.csr_matrix((n, n))
    else:
        from pynndescent import NNDescent

        # One thread: with more, the order of updates and with it the result changes from run to run.
        with keep_torch_threads():
            index = NNDescent(z, n_neighbors=k + 1, random_state=random_state, n_jobs=1)
        neighbors = index.neighbor_graph[0]
        rows = np.repeat(np.arange(n), k + 1)
        graph = sparse.csr_matrix((np.ones(rows.size), (rows, neighbors.ravel())), shape=(n, n))
    graph = sparse.csr_matrix(graph.maximum(graph.T), dtype=np.float32)
    graph.setdiag(0)
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph
