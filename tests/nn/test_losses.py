"""The neighbour and redundancy losses against their equations, written out naively in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from scsemst.nn import ZINB, NeighborLoss, Observed, RedundancyLoss


@pytest.fixture
def edges() -> np.ndarray:
    """Both directions of a ring with chords, 40 spots."""
    i = np.arange(40)
    pairs = np.concatenate([np.stack([i, (i + k) % 40]) for k in (1, 5)], axis=1)
    pairs = np.concatenate([pairs, pairs[::-1]], axis=1)
    return pairs[:, np.lexsort(pairs[::-1])]


def naive_neighbor(z: np.ndarray, edges: np.ndarray, *, balanced: bool) -> float:
    n = len(z)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    sigma = 1 / (1 + np.exp(-unit @ unit.T))
    neighbour = np.zeros((n, n), dtype=bool)
    neighbour[edges[0], edges[1]] = True
    weight = n * n / edges.shape[1] if balanced else 1.0
    return -(weight * np.log(sigma[neighbour]).sum() + np.log(1 - sigma[~neighbour]).sum()) / (2 * n * n)


def naive_redundancy(a: np.ndarray, b: np.ndarray) -> float:
    a, b = ((h - h.mean(0)) / np.sqrt(h.var(0) + 1e-6) for h in (a, b))
    return ((a.T @ b / len(a) - np.eye(a.shape[1])) ** 2).mean()


def numeric_gradient(f, x: np.ndarray, at: list[tuple[int, int]]) -> list[float]:
    out = []
    for i in at:
        up, down = x.copy(), x.copy()
        up[i] += 1e-6
        down[i] -= 1e-6
        out.append((f(up) - f(down)) / 2e-6)
    return out


@pytest.mark.parametrize("balanced", [False, True])
def test_exact_neighbor_loss(edges, balanced):
    z = np.random.default_rng(0).normal(size=(40, 6))
    tensor = torch.tensor(z, requires_grad=True)
    loss = NeighborLoss(exact=True, balanced=balanced)(tensor, torch.from_numpy(edges))
    loss.backward()
    at = [(0, 0), (7, 3), (39, 5)]
    np.testing.assert_allclose(loss.item(), naive_neighbor(z, edges, balanced=balanced), rtol=1e-10)
    expected = numeric_gradient(lambda x: naive_neighbor(x, edges, balanced=balanced), z, at)
    np.testing.assert_allclose([tensor.grad[i].item() for i in at], expected, rtol=1e-5)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("spread", [1.0, 1e-3], ids=["random", "collapsed"])
def test_linear_neighbor_loss_is_within_half_a_percent(edges, spread, balanced):
    rng = np.random.default_rng(1)
    z = torch.from_numpy(rng.normal(size=6) + spread * rng.normal(size=(40, 6)))
    edge_index = torch.from_numpy(edges)
    exact = NeighborLoss(exact=True, balanced=balanced)(z, edge_index).item()
    linear = NeighborLoss(balanced=balanced)(z, edge_index).item()
    assert linear != exact  # the closed form, not the exact one
    np.testing.assert_allclose(linear, exact, rtol=5e-3)


def test_neighbor_loss_falls_when_neighbours_agree(edges):
    rng = np.random.default_rng(2)
    angle = np.arange(40) / 40 * 2 * np.pi
    ordered = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    shuffled = ordered[rng.permutation(40)]
    loss = NeighborLoss(balanced=True)
    assert loss(ordered, torch.from_numpy(edges)) < loss(shuffled, torch.from_numpy(edges))


def test_neighbor_loss_without_edges_is_finite():
    z = torch.randn(3, 2, requires_grad=True)
    loss = NeighborLoss(balanced=True)(z, torch.empty((2, 0), dtype=torch.long))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


def test_redundancy_loss():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    tensor = torch.tensor(a, requires_grad=True)
    loss = RedundancyLoss()(tensor, torch.from_numpy(b))
    loss.backward()
    at = [(0, 0), (29, 3)]
    np.testing.assert_allclose(loss.item(), naive_redundancy(a, b), rtol=1e-10)
    expected = numeric_gradient(lambda x: naive_redundancy(x, b), a, at)
    np.testing.assert_allclose([tensor.grad[i].item() for i in at], expected, rtol=1e-5)


def test_redundancy_loss_of_a_constant_feature_is_finite():
    a = torch.ones(5, 2, requires_grad=True)
    loss = RedundancyLoss()(a, torch.randn(5, 2))
    loss.backward()
    assert torch.isfinite(a.grad).all()


def test_observed_leaves_the_matrix_as_it_is():
    matrix = sparse.csr_matrix(np.array([[1, 0, 2], [0, 3, 0]], dtype=np.float32))
    matrix.data[0] = 0
    assert Observed(matrix).values.tolist() == [2, 3]
    assert matrix.data.tolist() == [0, 2, 3]


def test_losses_take_keywords(edges: np.ndarray):
    z, pairs = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.tensor(edges)
    assert NeighborLoss()(z=z, edge_index=pairs) == NeighborLoss()(z, pairs)
    half = z.to(torch.bfloat16)
    assert NeighborLoss()(z=half, edge_index=pairs) == NeighborLoss()(half.float(), pairs)
    counts = Observed(sparse.csr_matrix(np.eye(40, 3, dtype=np.float32)))
    likelihood, batch = ZINB(4, 3, n_batches=2), torch.arange(40) % 2
    assert likelihood.loss(z, counts, batch=batch) == likelihood.loss(z, counts, None, batch)


@pytest.mark.parametrize("exact", [True, False])
def test_edges_in_any_order_have_one_gradient(exact: bool):
    rng = np.random.default_rng(0)
    graph = sparse.random(60, 60, 0.1, random_state=0)
    rows, columns = (graph + graph.T + sparse.eye(60, k=1) + sparse.eye(60, k=-1)).nonzero()
    edges = torch.from_numpy(np.stack([rows, columns]).astype(np.int64))
    z = torch.from_numpy(rng.normal(size=(60, 5)))
    gradients = []
    for order in (torch.arange(edges.shape[1]), torch.from_numpy(rng.permutation(edges.shape[1])), edges[1].argsort()):
        leaf = z.clone().requires_grad_()
        NeighborLoss(exact=exact)(leaf, edges[:, order]).backward()
        gradients.append(leaf.grad)
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0])
