"""The Potts smoothing against brute force, and on a noisy picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax

from scsemst.domains.labels import assign
from scsemst.domains.potts import smooth_posterior


def grid(n: int) -> sparse.csr_matrix:
    line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(n, n))
    return sparse.csr_matrix(sparse.kron(line, sparse.eye_array(n)) + sparse.kron(sparse.eye_array(n), line))


def test_close_to_the_exact_marginals_of_a_small_field():
    rng = np.random.default_rng(0)
    ring = sparse.csr_matrix(np.roll(np.eye(8), 1, 1) + np.roll(np.eye(8), -1, 1))
    log_prob, beta = np.log(rng.dirichlet([1, 1], size=8)), 0.8
    states = np.array(list(itertools.product([0, 1], repeat=8)))
    agree = sum((states == np.roll(states, s, 1)).sum(1) for s in (1, -1)) / 2 * (beta / 2)  # each pair once
    weight = softmax(log_prob[np.arange(8), states].sum(1) + agree)
    exact = np.stack([(weight[:, None] * (states == k)).sum(0) for k in (0, 1)], 1)
    mean_field = np.exp(smooth_posterior(log_prob, ring, beta=beta, n_iter=200))
    assert np.abs(mean_field - exact).max() < 0.05
    assert np.abs(mean_field - exact).mean() < 0.5 * np.abs(np.exp(log_prob) - exact).mean()


def test_denoises_a_picture_and_converges():
    rng = np.random.default_rng(1)
    truth = np.zeros((30, 30), int)
    truth[:, 15:] = 1
    truth = truth.ravel()
    log_prob = np.log(softmax(1.2 * np.eye(3)[truth] + rng.normal(size=(900, 3)), axis=1))
    before = (log_prob.argmax(1) == truth).mean()
    smoothed = smooth_posterior(log_prob, grid(30), beta=4.0, n_iter=50)
    assert (smoothed.argmax(1) == truth).mean() > max(0.95, before + 0.15)
    np.testing.assert_allclose(smoothed, smooth_posterior(log_prob, grid(30), beta=4.0, n_iter=51), atol=0.02)
    np.testing.assert_allclose(np.exp(smoothed).sum(1), 1)
    order = rng.permutation(900)
    permuted = smooth_posterior(log_prob[order], grid(30)[order][:, order], beta=4.0, n_iter=50)
    np.testing.assert_allclose(permuted, smoothed[order], atol=1e-8)


def test_nothing_changes_without_prior_or_neighbours():
    log_prob = np.log(np.random.default_rng(2).dirichlet([1, 1, 1], size=9))
    np.testing.assert_allclose(smooth_posterior(log_prob, grid(3), beta=0), log_prob)
    np.testing.assert_allclose(smooth_posterior(log_prob, sparse.csr_matrix((9, 9)), beta=5), log_prob)


def test_bad_input():
    with pytest.raises(ValueError, match="shape"):
        smooth_posterior(np.zeros((4, 2)), grid(3))
    with pytest.raises(ValueError, match="beta"):
        smooth_posterior(np.zeros((9, 2)), grid(3), beta=-1)


def test_assign_keeps_every_domain():
    log_posterior = np.log(np.random.default_rng(3).dirichlet([5, 5, 0.01, 0.01], size=40))
    labels = assign(log_posterior)
    assert set(labels) == {0, 1, 2, 3}
    assert (labels != log_posterior.argmax(1)).sum() <= 2
