"""How many domains: stability of mixtures and what another domain explains."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import require_integer
from .consensus import N_DIMENSIONS
from .mixture import fit_mixture

if TYPE_CHECKING:
    from .._types import Seed

__all__ = ["CANDIDATES", "MIN_SPOTS", "Stability", "fit_stability", "usable"]

log = logging.getLogger("scsemst")

CANDIDATES = range(2, 20)
MIN_SPOTS = 40
SHARE = 0.8  # of the rows in each repeat
N_ROWS = 3750  # that repeats draw from: any two share enough of them, whatever the number of spots


@dataclass(frozen=True)
class Stability:
    """Scores of numbers of domains, one entry per candidate."""

    candidates: np.ndarray
    """Ascending."""
    stability: np.ndarray
    """Mean Fowlkes–Mallows index between runs with the same or the next candidate, in [0, 1]."""
    bic: np.ndarray
    """Mean Bayesian information criterion per row; lower is better."""
    elbow: np.ndarray
    """How far the criterion has fallen beyond a straight line from the first to the last candidate."""
    score: np.ndarray
    """Sum of stability and elbow, each scaled to [0, 1]."""

    @property
    def best(self) -> int:
        """Candidate of highest score, the smallest of equal ones."""
        return int(self.candidates[self.score.argmax()])

    def record(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the choice, all scores and the parameters, in types that h5ad can store."""
        import pandas as pd

        columns = {name: getattr(self, name) for name in ("stability", "bic", "elbow", "score")}
        index = pd.Index([str(k) for k in self.candidates], dtype=object)  # object: 0.12 can't write string indexes
        scores = pd.DataFrame({"n_domains": self.candidates, **columns}, index=index)
        return {"n_domains": self.best, "scores": scores, "params": params}


def fit_stability(
    z: np.ndarray,
    candidates: Sequence[int],
    *,
    n_repeats: int = 7,
    min_spots: int = MIN_SPOTS,
    n_init: int = 3,
    rng: Seed = 0,
    progress: bool = False,
) -> Stability:
    """Score numbers of domains by the stability of mixtures and by the Bayesian information criterion.

    Each repeat fits tied-covariance mixtures to a random part of the rows and to another number of leading dimensions
    (those of :func:`~scsemst.domains.consensus.fit_consensus`), so a number of domains is stable only if neither the
    spots nor the dimensions that happen to be looked at matter. As in CellCharter's ClusterAutoK (Varrone et al., 2024), a
    good number also survives one domain more or less: runs are compared within each candidate and between candidates
    that follow each other, whether or not they are consecutive. Since stability alone likes two domains best, the
    elbow of the criterion is added. The criterion itself falls as far as one looks: averaged over the graph, spots are
    not independent.

    Parameters
    ----------
    z
        Rows to cluster, shape `(n, d)`, dimensions by decreasing variance.
    candidates
        Numbers of domains, in any order, repeated or not.
    n_repeats
        Number of runs for each candidate, at least two.
    min_spots
        Candidates that leave fewer spots per domain on average are not scored: three averages over six neighbours mix
        37 spots, so that smaller domains could be noise.
    n_init
        Starts of each mixture.
    rng
        Seed or generator.
    progress
        Show a progress bar.

    Returns
    -------
    Scores of the candidates, ascending.

    Raises
    ------
    ValueError
        If there is no candidate, or every one leaves too few spots per domain.
    """
    from tqdm.auto import tqdm

    rng = np.random.default_rng(rng)
    n_repeats = require_integer(n_repeats, name="n_repeats", minimum=2)
    counts = usable(candidates, len(z), min_spots)
    base = np.sort(rng.choice(len(z), min(len(z), N_ROWS), replace=False))
    dimensions = [d for d in N_DIMENSIONS if d <= z.shape[1]] or [z.shape[1]]
    counts = _distinguished(counts, z[base, : dimensions[0]])
    size = max(int(SHARE * len(base)), int(counts[-1]))
    labels = np.full((n_repeats, len(counts), len(base)), -1)
    bic = np.empty((n_repeats, len(counts)))
    with tqdm(total=bic.size, desc="n_domains", unit="mixture", disable=not progress, leave=False) as bar:
        for r in range(n_repeats):
            rows = np.sort(rng.choice(len(base), size, replace=False))
            part = z[base[rows], : dimensions[r % len(dimensions)]]
            for i, k in enumerate(counts):
                mixture = fit_mixture(part, int(k), n_init=n_init, rng=rng)
                labels[r, i, rows], bic[r, i] = mixture.labels, mixture.bic / size
                bar.update()
    stability, criterion = _agreement(labels), bic.mean(axis=0)
    elbow = _unit(-criterion) - _unit(counts.astype(float))
    return Stability(counts, stability, criterion, elbow, _unit(stability) + _unit(elbow))


def usable(candidates: Sequence[int], n: int, min_spots: int = MIN_SPOTS) -> np.ndarray:
    """Return the candidates that leave enough spots per domain, ascending."""
    counts = np.array(sorted({require_integer(k, name="candidates", minimum=1) for k in candidates}), dtype=int)
    if counts.size == 0:
        raise ValueError("candidates is empty. Pass numbers of domains, such as range(2, 20).")
    usable = counts[counts * min_spots <= n]
    if usable.size == 0:
        raise ValueError(
            f"Every candidate (at least {counts[0]}) leaves fewer than {min_spots} of the {n} spots per domain on "
            "average. Pass smaller candidates or min_spots=."
        )
    if usable.size < counts.size:
        log.info("Above %d domains fewer than %d spots each are left: not scored.", usable[-1], min_spots)
    return usable


def _distinguished(counts: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the candidates for which there are enough distinct rows."""
    n_distinct = len(np.unique(z, axis=0))
    if counts[0] > n_distinct:
        raise ValueError(
            f"Every candidate (at least {counts[0]}) is more than the {n_distinct} distinct rows of the representation. "
            "Pass smaller candidates."
        )
    if counts[-1] > n_distinct:
        log.info("The representation has %d distinct rows: more domains are not scored.", n_distinct)
    return counts[counts <= n_distinct]


def _agreement(labels: np.ndarray) -> np.ndarray:
    """Mean agreement of each candidate's runs with each other and with those of the candidates beside it."""
    n_repeats, n_candidates = labels.shape[:2]
    pairs = [(r, s) for r in range(n_repeats) for s in range(n_repeats)]
    within = [np.mean([_fm(labels[r, i], labels[s, i]) for r, s in pairs if r < s]) for i in range(n_candidates)]
    between = [
        np.mean([_fm(labels[r, i], labels[s, i + 1]) for r, s in pairs if r != s]) for i in range(n_candidates - 1)
    ]
    return np.array([np.mean([within[i], *between[max(i - 1, 0) : i + 1]]) for i in range(n_candidates)])


def _fm(a: np.ndarray, b: np.ndarray) -> float:
    """Fowlkes–Mallows index on the rows that both runs saw."""
    from sklearn.metrics import fowlkes_mallows_score

    both = (a >= 0) & (b >= 0)
    return float(fowlkes_mallows_score(a[both], b[both]))


def _unit(x: np.ndarray) -> np.ndarray:
    """Scale to [0, 1]; zeros if all values are alike."""
    spread = np.ptp(x)
    return (x - x.min()) / spread if spread > 0 else np.zeros_like(x)
