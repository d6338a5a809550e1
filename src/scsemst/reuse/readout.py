"""Domains of new spots from the mixtures that gave the training slice its domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scsemst.domains.mixture import MixtureResult

__all__ = ["Linear", "fit_readout", "read_out"]


class Linear(NamedTuple):
    """Log probabilities of domains, up to a constant per row, as a linear map of a representation."""

    weight: np.ndarray
    """Shape `(d, K)`."""
    bias: np.ndarray
    """Shape `(K,)`."""

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return the log posterior of rows `z`, of which the leading `d` dimensions are read; shape `(n, K)`."""
        from scipy.special import log_softmax

        return log_softmax(z[:, : len(self.weight)].astype(np.float64) @ self.weight + self.bias, axis=1)


def fit_readout(z: np.ndarray, labels: np.ndarray, mixtures: Sequence[MixtureResult]) -> list[Linear]:
    """Return the mixtures behind a consensus as linear maps whose domains are those of the consensus.

    A mixture with one covariance Σ has log posteriors that are linear in the row: weights Σ⁻¹μ, biases
    log π − ½ μᵀΣ⁻¹μ.

    Parameters
    ----------
    z
        Representation that was clustered, shape `(n, d)`.
    labels
        Domains by consensus, from 0 to K - 1, shape `(n,)`.
    mixtures
        Each a fit to the leading dimensions of `z`.
    """
    from scipy.optimize import linear_sum_assignment

    readout = []
    for mixture in mixtures:
        k, d = mixture.means.shape
        linear = _discriminant(z[:, :d].astype(np.float64), mixture)
        overlap = np.bincount(labels * k + linear(z).argmax(axis=1), minlength=k * k).reshape(k, k)
        order = linear_sum_assignment(-overlap)[1]
        readout.append(Linear(linear.weight[:, order], linear.bias[order]))
    # The consensus falls back to one of its mixtures if a vote would lose a domain: then that one alone is the rule.
    agreement = [np.mean(linear(z).argmax(axis=1) == labels) for linear in readout]
    best = int(np.argmax(agreement))
    return readout if np.mean(read_out(z, readout)[0] == labels) >= agreement[best] else [readout[best]]


def read_out(z: np.ndarray, readout: Sequence[Linear]) -> tuple[np.ndarray, np.ndarray]:
    """Return the domain of most votes, ties to the higher mean probability, and the mean probabilities.

    Parameters
    ----------
    z
        Representation, shape `(n, d)`.
    readout
        See :func:`fit_readout`.

    Returns
    -------
    Labels of shape `(n,)` and probabilities of shape `(n, K)`.
    """
    posteriors = [np.exp(linear(z)) for linear in readout]
    mean = np.mean(posteriors, axis=0)
    votes = np.zeros_like(mean)
    for posterior in posteriors:
        votes[np.arange(len(z)), posterior.argmax(axis=1)] += 1
    return (votes + 0.5 * mean).argmax(axis=1), mean


def _discriminant(z: np.ndarray, mixture: MixtureResult) -> Linear:
    from scipy.linalg import pinvh

    center = z.mean(axis=0)
    z, means = z - center, mixture.means - center
    covariance = z.T @ z / len(z) - (means.T * mixture.weights) @ means
    weight = pinvh(covariance) @ means.T
    bias = np.log(mixture.weights) - 0.5 * np.einsum("kd,dk->k", means, weight) - center @ weight
    return Linear(weight, bias)
