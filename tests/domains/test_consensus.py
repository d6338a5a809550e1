"""Votes between labelings."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import adjusted_rand_score

from scsemst.domains.consensus import _match, consensus, fit_consensus, fit_mixtures


def test_errors_that_differ_cancel_out():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [50, 30, 20])
    labelings = []
    for _ in range(7):
        labels = rng.permutation(3)[truth]  # the same domains under other names
        wrong = rng.choice(100, 15, replace=False)
        labels[wrong] = rng.integers(3, size=15)
        labelings.append(labels)
    single = np.mean([adjusted_rand_score(truth, labels) for labels in labelings])
    vote = consensus(labelings, 3)
    assert adjusted_rand_score(truth, vote) > max(0.95, single)
    assert np.array_equal(np.bincount(vote), np.sort(np.bincount(vote))[::-1])


def test_no_domain_is_lost():
    # Each labeling has a tiny domain elsewhere: the vote would leave it empty
    labelings = [np.zeros(30, dtype=int) for _ in range(3)]
    for i, labels in enumerate(labelings):
        labels[10:20] = 1
        labels[5 * i] = 2
    assert set(consensus(labelings, 3)) == {0, 1, 2}


def test_representation_narrower_than_any_choice():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(90, 2)) + np.repeat([[0, 0], [20, 0], [0, 20]], 30, axis=0)
    labels = fit_consensus(z, 3, rng=0)
    assert adjusted_rand_score(np.repeat([0, 1, 2], 30), labels) == 1
    assert np.array_equal(labels, fit_consensus(z, 3, rng=0))


def test_every_number_of_dimensions_up_to_all_of_them_votes():
    z = np.random.default_rng(2).normal(size=(60, 5))
    mixtures = fit_mixtures(z, 2, n_dimensions=(3, 5, 8), n_init=2)
    assert [mixture.means.shape[1] for mixture in mixtures] == [3, 5]


def test_domains_are_matched_by_what_they_share():
    reference = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    labels = np.array([2, 2, 1, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(_match(labels, reference, 3), [1, 2, 0])
    np.testing.assert_array_equal(consensus([reference, labels, reference], 3), [0, 0, 0, 2, 2, 1, 1, 1])
