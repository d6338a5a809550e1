"""Leiden clustering that hits a number of domains."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from .._checks import require_integer
from .mixture import require_distinct

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["leiden", "leiden_for", "merge_closest"]

logger = logging.getLogger("scsemst")


def leiden(graph: sparse.csr_matrix, resolution: float, *, random_state: int) -> np.ndarray:
    """Cluster a graph with scanpy's Leiden (leidenalg's objective in igraph, two iterations).

    Parameters
    ----------
    graph
        Weighted, undirected graph, shape `(n_obs, n_obs)`.
    resolution
        Higher values give more clusters.
    random_state
        Seed.

    Returns
    -------
    Integer labels, shape `(n_obs,)`.
    """
    import anndata as ad
    import scanpy as sc

    carrier = ad.AnnData(shape=(graph.shape[0], 0))
    sc.tl.leiden(
        carrier,
        resolution,
        adjacency=graph,
        random_state=random_state,
        flavor="igraph",
        n_iterations=2,
        directed=False,
    )
    return carrier.obs["leiden"].cat.codes.to_numpy().astype(int)


def leiden_for(
    graph: sparse.csr_matrix,
    z: np.ndarray,
    n_domains: int,
    *,
    random_state: int,
    max_tries: int = 25,
    progress: bool = False,
) -> tuple[np.ndarray, float]:
    """Search the resolution that gives a number of domains.

    Parameters
    ----------
    graph
        Weighted, undirected graph, shape `(n_obs, n_obs)`.
    z
        Representation of the spots, to tell which clusters are closest if no resolution hits the number.
    n_domains
        Number of domains.
    random_state
        Seed of every try.
    max_tries
        Most resolutions tried.
    progress
        Show a progress bar of the tries if they take more than two seconds.

    Returns
    -------
    Labels with exactly `n_domains` values, and the resolution that gave them or, if none did, the one whose clusters
    were merged.
    """
    from tqdm.auto import tqdm

    require_integer(n_domains, name="n_domains", minimum=1, maximum=graph.shape[0])
    require_distinct(z, n_domains)
    low, high, resolution = 0.0, np.inf, 1.0
    above: tuple[int, float, np.ndarray] | None = None
    bar = {"desc": "leiden", "unit": "resolution", "delay": 2, "disable": not progress, "leave": False}
    for _ in tqdm(range(max_tries), **bar):
        labels = leiden(graph, resolution, random_state=random_state)
        found = labels.max() + 1
        if found == n_domains:
            return labels, resolution
        if found > n_domains:
            high = resolution
            if above is None or found < above[0]:
                above = found, resolution, labels
        else:
            low = resolution
        resolution = 2 * low if np.isinf(high) else (low + high) / 2
    if above is None:
        raise ValueError(f"No resolution up to {low:g} gives as many as {n_domains} domains. Ask for fewer.")
    found, resolution, labels = above
    logger.warning(
        "No resolution gives %d domains: the closest ones of %d (resolution %.3g) were merged.",
        n_domains,
        found,
        resolution,
    )
    return merge_closest(z, labels, n_domains), resolution


def merge_closest(z: np.ndarray, labels: np.ndarray, n_domains: int) -> np.ndarray:
    """Merge, one pair at a time, the clusters whose union adds least to the scatter within clusters (Ward).

    Parameters
    ----------
    z
        Rows, shape `(n, d)`.
    labels
        Integer label of each row.
    n_domains
        Number of clusters to end with.

    Returns
    -------
    Labels with `n_domains` values.
    """
    names, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels).astype(float)
    one_hot = np.eye(len(names))[labels]
    means = (one_hot.T @ z) / sizes[:, None]
    alive = list(range(len(names)))
    while len(alive) > n_domains:
        size, mean = sizes[alive], means[alive]
        cost = ((mean[:, None] - mean) ** 2).sum(-1) * (size[:, None] * size) / (size[:, None] + size)
        cost[np.tril_indices(len(alive))] = np.inf
        i, j = np.unravel_index(cost.argmin(), cost.shape)
        keep, gone = alive[i], alive[j]
        means[keep] = (sizes[keep] * means[keep] + sizes[gone] * means[gone]) / (sizes[keep] + sizes[gone])
        sizes[keep] += sizes[gone]
        labels[labels == gone] = keep
        alive.remove(gone)
    return labels
