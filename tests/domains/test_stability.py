"""Number of domains: found where it is plain, on candidates of any kind, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from scsemst.domains.stability import fit_stability


@pytest.fixture(scope="module")
def five() -> np.ndarray:
    """Five groups of unequal size in eight dimensions, two of which tell them apart."""
    rng = np.random.default_rng(0)
    centers = np.array([[0, 0], [6, 0], [0, 6], [6, 6], [12, 3]])
    z = rng.normal(size=(500, 8))
    z[:, :2] += np.repeat(centers, [180, 120, 90, 60, 50], axis=0)
    return z


@pytest.mark.parametrize("candidates", [range(2, 10), [9, 5, 2, 3, 7, 5]], ids=["range", "not consecutive"])
def test_finds_the_groups(five: np.ndarray, candidates):
    found = fit_stability(five, candidates, n_repeats=3)
    assert found.best == 5
    assert found.candidates.tolist() == sorted(set(candidates))
    assert found.stability[found.candidates == 5] > 0.8
    assert ((found.stability >= 0) & (found.stability <= 1)).all()


def test_repeats_and_leaves_no_trace(five: np.ndarray):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (fit_stability(five, [2, 4, 6], n_repeats=2, rng=7) for _ in range(2))
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert not np.array_equal(first.stability, fit_stability(five, [2, 4, 6], n_repeats=2, rng=8).stability)


def test_small_slices_and_bad_candidates(five: np.ndarray):
    assert fit_stability(five, range(2, 20), n_repeats=2, min_spots=100).candidates.tolist() == [2, 3, 4, 5]
    assert fit_stability(five, [6], n_repeats=2).best == 6
    with pytest.raises(ValueError, match="Every candidate"):
        fit_stability(five, [200], min_spots=40)
    with pytest.raises(ValueError, match="candidates is empty"):
        fit_stability(five, [])
    with pytest.raises(TypeError, match="candidates"):
        fit_stability(five, [2, 3.5])
    with pytest.raises(ValueError, match="n_repeats"):
        fit_stability(five, [2, 3], n_repeats=1)
