"""Labels follow scanpy's leiden convention."""

from __future__ import annotations

import numpy as np

from scsemst.domains.labels import categorical, size_order


def test_by_size_then_first_spot():
    labels = categorical(np.array([5, 2, 2, 9, 9, 4]))
    assert list(labels) == ["2", "0", "0", "1", "1", "3"]
    assert list(labels.categories) == ["0", "1", "2", "3"]


def test_natural_order_beyond_ten():
    assert list(categorical(np.repeat(np.arange(12), 2)).categories) == [str(i) for i in range(12)]


def test_empty_domains_come_last():
    np.testing.assert_array_equal(size_order(np.array([2, 2, 0]), 3), [2, 0, 1])
