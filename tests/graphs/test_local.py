"""Edges are lighter where a slice has few spots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scsemst.graphs import local_graph
from scsemst.training.components import averaging_operator
from scsemst.training.slices import Slices


def ring(n: int) -> sparse.csr_matrix:
    """Each spot between two others, which have a share of 2/3 in its average."""
    edges = sparse.eye(n, k=1) + sparse.eye(n, k=n - 1)
    return sparse.csr_matrix(edges + edges.T, dtype=np.float32)


@pytest.mark.parametrize("n", [100, 101, 5000])
def test_a_slice_of_enough_spots_keeps_its_graph(n):
    graph = ring(n)
    assert local_graph(graph, 100) is graph
    assert local_graph(graph, 0) is graph


@pytest.mark.parametrize(("n", "share"), [(25, 1 / 2), (49, 0.7), (4, 0.2)])
def test_neighbours_have_the_square_root_of_their_share(n, share):
    graph = ring(n)
    average = averaging_operator(local_graph(graph, 100))
    np.testing.assert_allclose(average.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(1 - average.diagonal(), share * 2 / 3, rtol=1e-5)


def test_edges_are_symmetric_the_same_and_the_given_graph_is_left():
    graph = ring(30)
    before = graph.copy()
    found = local_graph(graph, 100)
    assert abs(found - found.T).max() == 0
    assert (found != 0).nnz == graph.nnz
    assert found.dtype == graph.dtype
    assert abs(graph - before).max() == 0


def test_each_slice_goes_by_its_own_spots():
    graph = sparse.block_diag([ring(25), ring(400)], format="csr")
    found = local_graph(graph, 100, Slices(["a", "b"], np.repeat([0, 1], [25, 400])))
    assert abs(found[25:, 25:] - graph[25:, 25:]).max() == 0
    assert abs(found[:25, :25] - local_graph(ring(25), 100)).max() < 1e-6


def test_an_edge_between_slices_has_the_geometric_mean_of_their_factors():
    graph = sparse.block_diag([ring(25), ring(400)], format="lil", dtype=np.float32)
    graph[0, 25] = graph[25, 0] = 1
    found = local_graph(graph.tocsr(), 100, Slices(["a", "b"], np.repeat([0, 1], [25, 400])))
    assert found[0, 25] == pytest.approx(np.sqrt(found[1, 2] * found[30, 31]), rel=1e-5)


def test_a_slice_without_edges_or_without_spots_is_no_trouble():
    graph = sparse.block_diag([ring(25), sparse.csr_matrix((3, 3))], format="csr", dtype=np.float32)
    found = local_graph(graph, 100, Slices(["a", "b", "c"], np.repeat([0, 2], [25, 3])))
    assert np.isfinite(found.data).all()
    assert (found != 0).nnz == graph.nnz
