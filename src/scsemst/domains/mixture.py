"""Tied-covariance Gaussian mixture: the model that mclust calls EEE, in linear time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._checks import require_finite, require_integer
from .labels import size_order

if TYPE_CHECKING:
    from .._types import Seed

__all__ = ["MixtureResult", "fit_mixture", "fit_nested", "require_distinct"]

RIDGE = 1e-6  # of the total variance; keeps the shared covariance invertible
N_ROUNDS = 4  # of exchange between mixtures; they rarely change after two


@dataclass(frozen=True)
class MixtureResult:
    """A fitted mixture; domains are numbered by decreasing size."""

    labels: np.ndarray
    """Most probable domain of each row, shape `(n,)`; every domain in `[0, K)` occurs."""
    log_posterior: np.ndarray
    """Log probability of each domain given the row, shape `(n, K)`."""
    means: np.ndarray
    """Component means, shape `(K, d)`."""
    weights: np.ndarray
    """Component weights, shape `(K,)`."""
    log_likelihood: float
    """Log-likelihood of all rows, in nats."""
    bic: float
    """Bayesian information criterion; lower is better, as in scikit-learn (mclust's has the other sign)."""

    @property
    def posterior(self) -> np.ndarray:
        """Probability of each domain given the row, shape `(n, K)`."""
        return np.exp(self.log_posterior)


class _Fit(NamedTuple):
    log_likelihood: float  # per row, of the whitened rows
    log_posterior: np.ndarray
    means: np.ndarray
    weights: np.ndarray
    covariance: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.log_posterior.argmax(1)

    @property
    def is_full(self) -> bool:
        return len(np.unique(self.labels)) == self.log_posterior.shape[1]


class _Whitening(NamedTuple):
    matrix: np.ndarray
    inverse: np.ndarray
    log_det: float


def fit_mixture(
    z: np.ndarray,
    n_domains: int,
    *,
    n_init: int = 100,
    max_iter: int = 500,
    tol: float = 1e-6,
    n_start: int = 10_000,
    rng: Seed = 0,
    progress: bool = False,
) -> MixtureResult:
    """Fit a Gaussian mixture with one shared covariance, best of many starts by likelihood.

    Parameters
    ----------
    z
        Rows to cluster, shape `(n, d)`.
    n_domains
        Number of components K; each gets at least one row.
    n_init
        Number of starts, each from k-means of `z`. Where components overlap, a start in a hundred may be the best one.
    max_iter
        Most EM steps of one start.
    tol
        EM stops when the mean log-likelihood per row, in nats, changes by less.
    n_start
        The starts are compared on at most this many random rows; the best one goes on with all rows.
    rng
        Seed or generator.
    progress
        Show a progress bar of the starts if they take more than two seconds.

    Returns
    -------
    The mixture of highest likelihood among those in which every domain has rows.

    Raises
    ------
    ValueError
        If `z` has NaN or infinite values, or fewer than `n_domains` distinct rows.

    Notes
    -----
    The model of mclust (Scrucca et al., 2016, where it is called EEE) and of `sklearn.mixture.GaussianMixture(covariance_type="tied")`. Rows are
    whitened and their scatter taken once, so that an EM step costs O(n·K·d) and not O(n·d²): four to eight times less
    than scikit-learn's from the same start to the same optimum, which is what pays for the many starts that a stable
    answer takes.

    Examples
    --------
    >>> import numpy as np
    >>> from scsemst.domains.mixture import fit_mixture
    >>> z = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [9, 9], [0, 9]], [30, 20, 10], axis=0)
    >>> np.bincount(fit_mixture(z, 3).labels)
    array([30, 20, 10])
    """
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 2:
        raise ValueError(f"z must have two dimensions (rows × features), found shape {z.shape}.")
    options: dict[str, Any] = {"n_init": n_init, "max_iter": max_iter, "tol": tol, "n_start": n_start, "rng": rng}
    options["progress"] = progress
    return fit_nested(z, n_domains, n_dimensions=[z.shape[1]], **options)[0]


def fit_nested(
    z: np.ndarray,
    n_domains: int,
    *,
    n_dimensions: Sequence[int],
    n_init: int = 100,
    max_iter: int = 500,
    tol: float = 1e-6,
    n_start: int = 10_000,
    rng: Seed = 0,
    progress: bool = False,
) -> list[MixtureResult]:
    """Fit a mixture to the leading dimensions of a representation, for several numbers of them.

    The mixtures help each other out of poor optima: once each has its best start, it also starts from the labels that
    the others have found, keeps what is more likely, and so on until nothing improves. With the same number of starts
    the answer then depends far less on the seed.

    Parameters
    ----------
    z
        Rows to cluster, shape `(n, d)`.
    n_domains
        Number of components K; each gets at least one row.
    n_dimensions
        Numbers of leading dimensions, at most `d` each.
    n_init, max_iter, tol, n_start, rng, progress
        See :func:`fit_mixture`.

    Returns
    -------
    One mixture for each number of dimensions.
    """
    from threadpoolctl import threadpool_limits
    from tqdm.auto import tqdm

    z = np.asarray(z, dtype=np.float64)
    require_finite(z, name="z")
    n_domains = require_integer(n_domains, name="n_domains", minimum=1)
    n_init = require_integer(n_init, name="n_init", minimum=1)
    for d in n_dimensions:
        require_distinct(z[:, :d], n_domains)
    rng = np.random.default_rng(rng)

    # The starts draw rows by their number: numbered by what they hold, not by where they stand, any order of the rows
    # gives the same domains
    by_value = np.lexsort(z.T[2::-1])
    back, center = np.argsort(by_value), z.mean(0)
    z = z[by_value] - center
    rows = np.arange(len(z)) if len(z) <= n_start else np.sort(rng.choice(len(z), n_start, replace=False))
    # One thread: the matrices are small, and sums of threads in order of arrival would not repeat to the last bit
    with threadpool_limits(limits=1):
        whitenings = [_whiten(z[:, :d]) for d in n_dimensions]
        parts = [z[rows, :d] for d in n_dimensions]
        whitened = [part @ whitening.matrix for part, whitening in zip(parts, whitenings, strict=True)]
        total = n_init * len(parts)
        with tqdm(total=total, desc="domains", unit="start", delay=2, disable=not progress, leave=False) as bar:
            fits = [
                _best_start(part, x, n_domains, n_init, max_iter=max_iter, tol=10 * tol, rng=rng, done=bar.update)
                for part, x in zip(parts, whitened, strict=True)
            ]
        _exchange(whitened, fits, n_domains, max_iter=max_iter, tol=10 * tol)
        results = []
        for d, whitening, fit in zip(n_dimensions, whitenings, fits, strict=True):
            x = z[:, :d] @ whitening.matrix
            fit = _em(x, _posterior(x, fit.means, fit.weights, fit.covariance)[1], max_iter=max_iter, tol=tol)
            if not fit.is_full:
                fit = _fill(x, fit, max_iter=max_iter, tol=tol, rng=rng)
            results.append(_result(fit, whitening, center[:d], back))
    return results


def _result(fit: _Fit, whitening: _Whitening, center: np.ndarray, back: np.ndarray) -> MixtureResult:
    """Number domains by size, and put rows and units back to what they were."""
    n, n_domains = fit.log_posterior.shape
    order = size_order(fit.labels, n_domains)
    log_likelihood = n * (fit.log_likelihood + whitening.log_det)
    d = whitening.matrix.shape[1]
    n_parameters = n_domains - 1 + n_domains * d + d * (d + 1) / 2
    return MixtureResult(
        labels=np.argsort(order)[fit.labels][back],
        log_posterior=fit.log_posterior[back][:, order],
        means=fit.means[order] @ whitening.inverse + center,
        weights=fit.weights[order],
        log_likelihood=float(log_likelihood),
        bic=float(n_parameters * np.log(n) - 2 * log_likelihood),
    )


def _best_start(
    z, x, k: int, n_init: int, *, max_iter: int, tol: float, rng: np.random.Generator, done: Callable[[], object]
) -> _Fit:
    """Return the most likely of many fits, each from k-means of other random centres; `done` is called after each."""

    def start() -> _Fit:
        # k-means of the rows as they are: from whitened ones the likelihood of a few hundred spots climbs higher, to
        # components of a handful of outliers that change with the seed
        return _em(x, _hard(_kmeans(z, k, rng), k), max_iter=max_iter, tol=tol)

    best = start()
    done()
    for _ in range(n_init - 1):
        best = _better(start(), best)
        done()
    return best


def _exchange(whitened: list[np.ndarray], fits: list[_Fit], k: int, *, max_iter: int, tol: float) -> None:
    """Start each mixture from the labels of the others, and replace those that become more likely."""
    tried: list[set[bytes]] = [set() for _ in fits]
    for _ in range(N_ROUNDS):
        before = list(fits)
        for i, x in enumerate(whitened):
            for j, other in enumerate(fits):
                labels = other.labels
                if i != j and (key := labels.tobytes()) not in tried[i]:
                    tried[i].add(key)
                    fits[i] = _better(_em(x, _hard(labels, k), max_iter=max_iter, tol=tol), fits[i])
        if all(new is old for new, old in zip(fits, before, strict=True)):
            break


def _better(fit: _Fit, best: _Fit) -> _Fit:
    """Return the fit of higher likelihood, one without empty domains before all others."""
    return fit if (fit.is_full, fit.log_likelihood) > (best.is_full, best.log_likelihood) else best


def require_distinct(z: np.ndarray, n_domains: int) -> None:
    """Raise unless there are as many different rows as domains: equal ones cannot be told apart."""
    if z.shape[1] and len(np.unique(z[:, 0])) >= n_domains:
        return
    n_distinct = len(np.unique(z, axis=0))
    if n_distinct < n_domains:
        raise ValueError(
            f"n_domains={n_domains} is more than the {n_distinct} distinct rows of the representation "
            f"({len(z)} rows in all). Ask for fewer domains."
        )


def _whiten(z: np.ndarray) -> _Whitening:
    """Return how to rotate and scale centred rows to unit covariance, without directions that do not vary."""
    variance, axes = np.linalg.eigh(z.T @ z / len(z))
    keep = variance > 1e-9 * variance.max(initial=0)
    scale, axes = np.sqrt(variance[keep]), axes[:, keep]
    return _Whitening(axes / scale, (axes * scale).T, float(-np.log(scale).sum()))


def _hard(labels: np.ndarray, k: int) -> np.ndarray:
    """Log posterior of certain labels."""
    return np.log(np.eye(k)[labels] + 1e-300)


def _kmeans(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than k: `_fill` sees to it
        return KMeans(k, n_init=1, max_iter=30, random_state=int(rng.integers(2**31))).fit_predict(x)


def _em(x: np.ndarray, log_posterior: np.ndarray, *, max_iter: int, tol: float) -> _Fit:
    """Run EM from given responsibilities."""
    scatter = x.T @ x / len(x)
    scatter[np.diag_indices_from(scatter)] += RIDGE
    log_likelihood = -np.inf
    for _ in range(max_iter):
        resp = np.exp(log_posterior)
        size = resp.sum(0) + 10 * np.finfo(float).eps
        means, weights = (resp.T @ x) / size[:, None], size / len(x)
        # What the means leave of the scatter: the same as the weighted scatter about them, without a pass over rows
        covariance = scatter - (means.T * weights) @ means
        previous = log_likelihood
        log_likelihood, log_posterior = _posterior(x, means, weights, covariance, scatter)
        if abs(log_likelihood - previous) < tol:
            break
    return _Fit(log_likelihood, log_posterior, means, weights, covariance)


def _posterior(
    x: np.ndarray, means: np.ndarray, weights: np.ndarray, covariance: np.ndarray, scatter: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Mean log-likelihood per row and log posterior.

    xᵀΣ⁻¹x is alike for all components and drops out of the posterior; the likelihood needs its mean only, tr(Σ⁻¹S).
    """
    from scipy.linalg import cho_factor, cho_solve

    factor = cho_factor(covariance, lower=True)
    directions = cho_solve(factor, means.T)
    logits = x @ directions
    logits += np.log(weights) - 0.5 * np.einsum("kd,dk->k", means, directions)
    top = logits.max(1, keepdims=True)
    logits -= top
    log_sum = np.log(np.exp(logits).sum(1, keepdims=True))
    logits -= log_sum
    scatter = x.T @ x / len(x) if scatter is None else scatter
    squares = np.trace(cho_solve(factor, scatter))
    constant = -0.5 * (squares + len(scatter) * np.log(2 * np.pi)) - np.log(np.diag(factor[0])).sum()
    return float((top + log_sum).mean() + constant), logits


def _fill(x: np.ndarray, fit: _Fit, *, max_iter: int, tol: float, rng: np.random.Generator) -> _Fit:
    """Give rows to the empty components by splitting the widest groups in two, then run EM again."""
    k = fit.log_posterior.shape[1]
    labels = fit.labels
    for empty in np.setdiff1d(np.arange(k), labels):
        scatter = [
            ((x[labels == j] - x[labels == j].mean(0)) ** 2).sum() if (labels == j).any() else 0.0 for j in range(k)
        ]
        widest = np.flatnonzero(labels == int(np.argmax(scatter)))
        labels[widest[_kmeans(x[widest], 2, rng) == 1]] = empty
    hard = _hard(labels, k)
    fit = _em(x, hard, max_iter=max_iter, tol=tol)
    if not fit.is_full:  # the likelihood prefers fewer domains: keep the split itself
        fit = _em(x, hard, max_iter=1, tol=tol)._replace(log_posterior=hard)
    return fit
