"""The mixture against scikit-learn's, and on data where components would be empty."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from scsemst.domains.mixture import _em, _fill, _hard, fit_mixture


@pytest.fixture(scope="module")
def overlapping():
    """Four overlapping groups with a correlated shared covariance."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    centers = rng.normal(scale=2.5, size=(4, 6))
    truth = rng.choice(4, size=800, p=[0.1, 0.2, 0.3, 0.4])
    return centers[truth] + rng.normal(size=(800, 6)) @ mix, truth


def test_agrees_with_sklearn(overlapping):
    z, _ = overlapping
    ours = fit_mixture(z, 4, n_init=20)
    theirs = GaussianMixture(4, covariance_type="tied", n_init=20, tol=1e-6, max_iter=500, random_state=0).fit(z)
    assert ours.log_likelihood / len(z) == pytest.approx(theirs.score(z), abs=1e-3)
    assert ours.bic == pytest.approx(theirs.bic(z), rel=1e-4)
    assert adjusted_rand_score(ours.labels, theirs.predict(z)) > 0.97
    np.testing.assert_allclose(np.sort(ours.weights), np.sort(theirs.weights_), atol=0.01)
    np.testing.assert_allclose(ours.posterior.sum(1), 1)
    np.testing.assert_array_equal(ours.labels, ours.posterior.argmax(1))


def test_same_seed_same_bits_and_any_scale(overlapping):
    z, _ = overlapping
    first, second = fit_mixture(z, 4, n_init=6, rng=3), fit_mixture(z, 4, n_init=6, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(first.log_posterior, second.log_posterior)
    scaled = fit_mixture(z * 1e-4 + 7, 4, n_init=6, rng=3)
    assert adjusted_rand_score(first.labels, scaled.labels) > 0.99


def test_numbered_by_size(overlapping):
    sizes = np.bincount(fit_mixture(overlapping[0], 4, n_init=4).labels)
    assert (np.diff(sizes) <= 0).all()


def test_starts_on_a_subsample_reach_the_same_optimum(overlapping):
    z, _ = overlapping
    whole, part = fit_mixture(z, 4, n_init=10), fit_mixture(z, 4, n_init=10, n_start=300)
    assert part.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-4)


@pytest.mark.parametrize("n_domains", [1, 2, 5, 12])
def test_exactly_k_domains_when_the_data_have_fewer_groups(n_domains):
    # Twelve distinct rows in two tight groups: most components would go empty
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal(size=(6, 3)), 50 + rng.normal(size=(6, 3))])[
        np.concatenate([np.arange(12), rng.integers(12, size=188)])
    ]
    fit = fit_mixture(z, n_domains, n_init=3)
    assert len(np.unique(fit.labels)) == n_domains
    np.testing.assert_array_equal(fit.labels, fit.posterior.argmax(1))


@pytest.mark.parametrize("n_domains", [3, 5])
def test_empty_components_take_rows_of_the_widest(n_domains):
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=(80, 2)) * [4, 1], 30 + 0.1 * rng.normal(size=(40, 2))])
    two = np.repeat([0, 1], [80, 40])
    fit = _em(x, _hard(two, n_domains), max_iter=1, tol=1e-6)
    assert not fit.is_full
    filled = _fill(x, fit, max_iter=50, tol=1e-6, rng=np.random.default_rng(0))
    assert filled.is_full
    assert len(np.unique(filled.labels[two == 0])) == n_domains - 1  # the tight group stays whole
    assert len(np.unique(filled.labels[two == 1])) == 1


def test_a_split_that_the_likelihood_undoes_is_kept():
    x = np.concatenate([np.zeros((50, 1)), np.ones((50, 1)), np.full((1, 1), 1.001)])
    fit = _em(x, _hard(np.repeat([0, 1], [50, 51]), 3), max_iter=1, tol=1e-6)
    filled = _fill(x, fit, max_iter=200, tol=1e-9, rng=np.random.default_rng(0))
    assert filled.is_full
    assert np.isfinite(filled.means).all()


def test_impossible_requests_raise():
    z = np.repeat(np.eye(3), 10, axis=0)
    with pytest.raises(ValueError, match="n_domains=4 is more than the 3 distinct rows"):
        fit_mixture(z, 4)
    z[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fit_mixture(z, 2)
