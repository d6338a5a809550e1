"""Spatial compactness of domains; needs no annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._checks import require_integer
from ._labels import labelled, sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._types import Seed

__all__ = ["chaos", "pas", "spatial_asw"]


def chaos(labels: ArrayLike, coords: ArrayLike) -> float:
    """CHAOS: mean distance from a spot to the nearest spot of its own domain.

    Parameters
    ----------
    labels
        Domain of each spot, shape `(n_obs,)`; NaN for none.
    coords
        Coordinates, shape `(n_obs, 2)` or `(n_obs, 3)`; each axis is standardised first, so units don't matter.

    Returns
    -------
    Non-negative, lower is more continuous. Domains of a single spot have no such distance and are left out. Slices of
    other size or spot density can't be compared.

    References
    ----------
    Shang & Zhou (2022), Spatially aware dimension reduction for spatial transcriptomics. Nature Communications 13,
    7203 (definition); Yuan et al. (2024), Benchmarking spatial clustering methods with spatially resolved
    transcriptomics data. Nature Methods 21, 712–722 (standardised coordinates).

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> scsemst.metrics.chaos(adata.obs["ground_truth"], adata.obsm["spatial"]) < 0.1
    True
    """
    from scipy.spatial import KDTree

    codes, points = labelled(labels, rows=coords)
    scale = points.std(0)
    points = (points - points.mean(0)) / np.where(scale > 0, scale, 1)
    groups = [points[codes == code] for code in np.unique(codes)]
    nearest = [KDTree(group).query(group, k=2)[0][:, 1] for group in groups if len(group) > 1]
    if not nearest:
        raise ValueError("Each domain has a single spot: CHAOS is not defined.")
    return float(np.concatenate(nearest).mean())


def pas(labels: ArrayLike, coords: ArrayLike, *, n_neighbors: int = 10, threshold: float = 0.6) -> float:
    """PAS: proportion of abnormal spots, those that differ from most of their neighbours.

    Parameters
    ----------
    labels
        Domain of each spot, shape `(n_obs,)`; NaN for none.
    coords
        Coordinates, shape `(n_obs, 2)` or `(n_obs, 3)`.
    n_neighbors
        Number of nearest spots looked at.
    threshold
        A spot is abnormal if at least this share of them has another domain.

    Returns
    -------
    Between 0 and 1, lower is smoother.

    References
    ----------
    Shang & Zhou (2022), Spatially aware dimension reduction for spatial transcriptomics. Nature Communications 13,
    7203: six of ten neighbours.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> scsemst.metrics.pas(adata.obs["ground_truth"], adata.obsm["spatial"]) < 0.1
    True
    """
    from scipy.spatial import KDTree

    codes, coords = labelled(labels, rows=coords)
    if not isinstance(threshold, (int, float, np.number)):
        raise TypeError(f"threshold must be a number, found {threshold!r} of type {type(threshold).__name__}.")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be between 0 and 1, found {threshold}: it is a share of the neighbours.")
    n_neighbors = require_integer(n_neighbors, name="n_neighbors", minimum=1, maximum=len(codes) - 1)
    other = codes[_neighbors(KDTree(coords), coords, n_neighbors)] != codes[:, None]
    return float((other.sum(1) >= threshold * n_neighbors - 1e-9).mean())


def spatial_asw(labels: ArrayLike, coords: ArrayLike, *, n_max: int = 5000, rng: Seed = 0) -> float:
    """Average silhouette width of domains in tissue coordinates.

    Parameters
    ----------
    labels
        Domain of each spot, shape `(n_obs,)`; NaN for none.
    coords
        Coordinates, shape `(n_obs, 2)` or `(n_obs, 3)`.
    n_max
        Computed on at most this many random spots: the silhouette takes all their distances.
    rng
        Seed or generator of the sample.

    Returns
    -------
    Between -1 and 1, higher is more compact. Layers and other long shapes score low even when right.

    References
    ----------
    Rousseeuw (1987), Silhouettes. Journal of Computational and Applied Mathematics 20, 53–65 (definition); Yuan et al.
    (2024), Benchmarking spatial clustering methods with spatially resolved transcriptomics data. Nature Methods 21,
    712–722 (on coordinates).

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> -1 < scsemst.metrics.spatial_asw(adata.obs["ground_truth"], adata.obsm["spatial"], n_max=1000) < 1
    True
    """
    from sklearn.metrics import silhouette_score

    codes, coords = labelled(labels, rows=coords)
    rows = sample(len(codes), n_max, rng)
    codes, coords = codes[rows], coords[rows]
    n_domains = len(np.unique(codes))
    if not 1 < n_domains < len(codes):
        raise ValueError(f"The silhouette needs at least 2 domains and more spots than domains, found {n_domains}.")
    return float(silhouette_score(coords, codes))


def _neighbors(tree, coords: np.ndarray, k: int) -> np.ndarray:
    """Nearest other spots; a spot is not its own neighbour even where several share one place."""
    found = tree.query(coords, k=k + 1)[1]
    self_first = np.argsort(found != np.arange(len(coords))[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, self_first, axis=1)[:, 1:]
