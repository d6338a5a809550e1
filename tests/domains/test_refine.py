"""Majority smoothing."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from scsemst.domains.refine import majority

PATH = sparse.csr_matrix(sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(7, 7)))


def test_single_spots_go_and_borders_stay():
    np.testing.assert_array_equal(majority(np.array([0, 0, 1, 0, 1, 1, 1]), PATH), [0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(majority(np.array([0, 0, 0, 0, 1, 1, 1]), PATH), [0, 0, 0, 0, 1, 1, 1])


def test_ties_keep_the_label_and_weights_do_not_count():
    heavy = PATH.copy()
    heavy[0, 1] = 9
    np.testing.assert_array_equal(majority(np.array([1, 0, 0, 0, 0, 1, 1]), heavy), [1, 0, 0, 0, 0, 1, 1])


def test_no_domain_is_emptied():
    np.testing.assert_array_equal(majority(np.array([0, 0, 0, 1, 0, 0, 0]), PATH, n_iter=5), [0, 0, 0, 1, 0, 0, 0])


def test_spots_without_label_neither_vote_nor_change():
    np.testing.assert_array_equal(majority(np.array([0, 0, 1, -1, 1, -1, 0]), PATH), [0, 0, 1, -1, 1, -1, 0])
