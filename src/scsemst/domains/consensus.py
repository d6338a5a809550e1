"""One answer from mixtures that each see a different number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .labels import size_order
from .mixture import MixtureResult, fit_nested

if TYPE_CHECKING:
    from .._types import Seed

__all__ = ["consensus", "fit_consensus", "fit_mixtures"]

N_DIMENSIONS = (6, 8, 10, 12, 15, 18, 20)
MIN_ROWS = 2  # per parameter of a mixture: with fewer, the likeliest one describes outliers


def fit_consensus(
    z: np.ndarray,
    n_domains: int,
    *,
    n_dimensions: Sequence[int] = N_DIMENSIONS,
    n_init: int | None = None,
    rng: Seed = 0,
    progress: bool = False,
) -> np.ndarray:
    """Cluster the leading dimensions of a representation, for several numbers of them, and vote.

    How many dimensions a mixture sees moves its answer more than anything else, and nothing but labels could tell
    which number is best. So none is chosen.

    Parameters
    ----------
    z
        Rows to cluster, shape `(n, d)`, dimensions by decreasing variance.
    n_domains
        Number of domains K.
    n_dimensions
        Numbers of leading dimensions; those above `d`, and those whose mixtures would have more than one parameter for
        two rows, are left out. If all are, it is the smallest of them, or `d`.
    n_init
        Starts of each mixture, see :func:`~scsemst.domains.mixture.fit_nested`; by default 30, up to 100 where rows are
        so few that it costs little.
    rng
        Seed or generator.
    progress
        Show a progress bar of the starts if they take more than two seconds.

    Returns
    -------
    Labels from 0 to K - 1 by decreasing size, all of which occur, shape `(n,)`.
    """
    mixtures = fit_mixtures(z, n_domains, n_dimensions=n_dimensions, n_init=n_init, rng=rng, progress=progress)
    return consensus([mixture.labels for mixture in mixtures], n_domains)


def fit_mixtures(
    z: np.ndarray,
    n_domains: int,
    *,
    n_dimensions: Sequence[int] = N_DIMENSIONS,
    n_init: int | None = None,
    rng: Seed = 0,
    progress: bool = False,
) -> list[MixtureResult]:
    """Return the mixtures that :func:`fit_consensus` lets vote; parameters as there."""
    n, d_max = z.shape
    n_init = int(np.clip(100_000 // max(n, 1), 30, 100)) if n_init is None else n_init
    smallest = min(*n_dimensions, d_max)
    fitting = [d for d in n_dimensions if d <= d_max and MIN_ROWS * (n_domains * d + d * (d + 1) / 2) <= n]
    return fit_nested(z, n_domains, n_dimensions=fitting or [smallest], n_init=n_init, rng=rng, progress=progress)


def consensus(labelings: Sequence[np.ndarray], n_domains: int) -> np.ndarray:
    """Return the labels that most labelings agree on, after matching their domains.

    The labeling that agrees best with the others (highest mean adjusted Rand index) names the domains; the others are
    matched to it (Hungarian algorithm), and each row takes its most frequent domain. That vote names the domains
    anew until it no longer changes.

    Parameters
    ----------
    labelings
        Labels from 0 to K - 1, each of shape `(n,)`.
    n_domains
        Number of domains K.

    Returns
    -------
    Labels from 0 to K - 1 by decreasing size, shape `(n,)`. Should a domain lose every vote, the labeling that agrees
    best with the others is returned as it is.
    """
    from sklearn.metrics import adjusted_rand_score

    agreement = np.array([[adjusted_rand_score(a, b) for b in labelings] for a in labelings])
    medoid = reference = np.asarray(labelings[agreement.mean(axis=1).argmax()])
    rows = np.arange(len(reference))
    for _ in range(10):
        votes = np.zeros((len(reference), n_domains), dtype=np.int64)
        for labels in labelings:
            votes[rows, _match(labels, reference, n_domains)[labels]] += 1
        # A tie stays with the reference.
        votes = 2 * votes
        votes[rows, reference] += 1
        previous, reference = reference, votes.argmax(axis=1)
        if np.array_equal(previous, reference):
            break
    if len(np.unique(reference)) < n_domains:
        reference = medoid
    return np.argsort(size_order(reference, n_domains))[reference]


def _match(labels: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    """Return, for each domain of `labels`, the domain of `reference` that it shares most rows with."""
    from scipy.optimize import linear_sum_assignment

    overlap = np.bincount(labels * k + reference, minlength=k * k).reshape(k, k)
    return linear_sum_assignment(-overlap)[1]
