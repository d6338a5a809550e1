"""How well a representation tells annotated classes apart: less noisy than clustering it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._checks import as_generator, require_integer
from ._labels import labelled, matrix, sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._types import Seed

__all__ = ["knn_purity", "spatial_probe"]


def knn_purity(z: ArrayLike, labels: ArrayLike, *, n_neighbors: int = 15, n_max: int = 10_000, rng: Seed = 0) -> float:
    """Mean share of a spot's nearest neighbours in the representation that have its label.

    Parameters
    ----------
    z
        Representation, shape `(n_obs, n_features)`.
    labels
        Annotation of each spot, shape `(n_obs,)`; NaN for none.
    n_neighbors
        Number of nearest spots looked at, by Euclidean distance.
    n_max
        Neighbours are looked up for at most this many random spots, among all.
    rng
        Seed or generator of the sample.

    Returns
    -------
    Between 0 and 1, averaged within each class first, so that rare classes count as much as common ones.

    References
    ----------
    The neighbourhood purity of Lun's bluster (Bioconductor, `neighborPurity`), with a fixed number of neighbours and
    classes in place of clusters.

    Examples
    --------
    >>> import numpy as np
    >>> from scsemst.metrics import knn_purity
    >>> z = np.repeat([[0.0], [9.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> knn_purity(z, np.repeat(["a", "b"], 20), n_neighbors=5)
    1.0
    """
    from sklearn.neighbors import NearestNeighbors

    codes, z = labelled(labels, rows=z, name="z")
    n_neighbors = require_integer(n_neighbors, name="n_neighbors", minimum=1, maximum=len(codes) - 1)
    rows = sample(len(codes), n_max, rng)
    found = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(z).kneighbors(z[rows], return_distance=False)
    itself = found == rows[:, None]
    itself[~itself.any(1), -1] = True  # hidden behind identical rows: drop the farthest instead
    same = (codes[found] == codes[rows][:, None])[~itself].reshape(len(rows), n_neighbors).mean(1)
    return float(np.mean([same[codes[rows] == code].mean() for code in np.unique(codes[rows])]))


def spatial_probe(
    z: ArrayLike,
    labels: ArrayLike,
    coords: ArrayLike,
    *,
    n_blocks: int = 20,
    n_folds: int = 5,
    n_max: int = 20_000,
    rng: Seed = 0,
) -> float:
    """Balanced accuracy of a linear probe, cross-validated over blocks of tissue.

    Logistic regression on the standardised representation. Spots beside each other are alike, so that random folds
    would reward remembering places; whole blocks are held out instead.

    Parameters
    ----------
    z
        Representation, shape `(n_obs, n_features)`.
    labels
        Annotation of each spot, shape `(n_obs,)`; NaN for none.
    coords
        Coordinates, shape `(n_obs, 2)` or `(n_obs, 3)`.
    n_blocks
        Number of compact blocks that the tissue is cut into, by k-means of the coordinates.
    n_folds
        Number of groups of blocks, each held out once.
    n_max
        At most this many random spots are used.
    rng
        Seed or generator of the sample, the blocks and the folds.

    Returns
    -------
    Mean over classes of the share of held-out spots that are recognised; chance is one over the number of classes.

    References
    ----------
    Alain & Bengio (2016), Understanding intermediate layers using linear classifier probes. arXiv 1610.01644; Roberts
    et al. (2017), Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic
    structure. Ecography 40, 913–929.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> score = scsemst.metrics.spatial_probe(adata.obsm["spatial"], adata.obs["ground_truth"], adata.obsm["spatial"])
    >>> 0 < score < 1
    True
    """
    from sklearn.cluster import KMeans
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = as_generator(rng)
    x, places = matrix(z, name="z"), matrix(coords, name="coords")
    if len(places) != len(x):
        raise ValueError(f"z has {len(x)} rows, coords {len(places)}: pass both for the same spots.")
    codes, x, places = (*labelled(labels, rows=x, name="z"), labelled(labels, rows=places)[1])
    rows = sample(len(codes), n_max, generator)
    codes, x, places = codes[rows], x[rows], places[rows]
    n_folds = require_integer(n_folds, name="n_folds", minimum=2)
    n_blocks = require_integer(n_blocks, name="n_blocks", minimum=n_folds, maximum=len(codes))

    blocks = KMeans(n_blocks, n_init=5, random_state=int(generator.integers(2**31))).fit_predict(places)
    if (n_found := len(np.unique(blocks))) < n_folds:
        raise ValueError(
            f"coords has {n_found} different places, too few for n_folds={n_folds}: nothing is far from where the probe is "
            "trained. Pass the coordinates of the spots."
        )
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=int(generator.integers(2**31)))
    predicted = np.empty_like(codes)
    for train, test in folds.split(x, codes, blocks):
        several = len(np.unique(codes[train])) > 1
        probe = LogisticRegression(max_iter=1000) if several else DummyClassifier()
        predicted[test] = make_pipeline(StandardScaler(), probe).fit(x[train], codes[train]).predict(x[test])
    return float(balanced_accuracy_score(codes, predicted))
