"""FSM, graph convolution and sparse products against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from scsemst.nn import FSM, GraphConv, SparseInput, SpotGraph


@pytest.fixture
def adjacency() -> sparse.csr_matrix:
    a = sparse.random(12, 12, density=0.2, random_state=0, dtype=np.float32)
    return sparse.csr_matrix(a.maximum(a.T))


@pytest.mark.parametrize("normalization", ["row", "sym"])
def test_spot_graph(adjacency, normalization):
    looped = adjacency.toarray() + np.eye(12)
    degree = looped.sum(axis=1)
    dense = looped / degree[:, None] if normalization == "row" else looped / np.sqrt(np.outer(degree, degree))
    dense = torch.from_numpy(dense).float()
    x = torch.randn(12, 3, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    target = torch.randn(12, 3)
    out, expected = SpotGraph(adjacency, normalization=normalization) @ x, dense @ y
    (out * target).sum().backward()
    (expected * target).sum().backward()
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(x.grad, y.grad)


def test_unknown_normalization(adjacency):
    with pytest.raises(ValueError, match="'row', 'sym'"):
        SpotGraph(adjacency, normalization="column")


def test_graph_conv_reads_sparse_input(adjacency):
    features = sparse.random(12, 7, density=0.3, random_state=1, format="csr", dtype=np.float32)
    graph, conv = SpotGraph(adjacency), GraphConv(7, 4)
    sparse_out = conv(SparseInput(features), graph)
    sparse_out.square().sum().backward()
    gradient, conv.weight.grad = conv.weight.grad, None
    dense_out = conv(torch.from_numpy(features.toarray()), graph)
    dense_out.square().sum().backward()
    torch.testing.assert_close(sparse_out, dense_out)
    torch.testing.assert_close(gradient, conv.weight.grad)


def test_batches_start_centred_one_by_one(adjacency):
    from scsemst.nn import NB, GraphEncoder, SemST

    torch.manual_seed(0)
    graph, batch = SpotGraph(adjacency), torch.tensor([0, 1, 2] * 4)
    x, components, mean = torch.randn(12, 7), torch.randn(7, 4), torch.randn(3, 7)
    encoder = GraphEncoder(7, 4, n_batches=3)
    encoder.start_from(components, mean)
    expected = graph @ (graph @ (x @ components) - (mean @ components)[batch])
    torch.testing.assert_close(encoder(x, graph, batch), expected)
    with pytest.raises(ValueError, match="n_batches=3.*made for 1"):
        SemST(7, NB(4, 7), n_batches=3)


def test_fsm_starts_as_the_identity_and_learns():
    torch.manual_seed(0)
    fsm = FSM(6, 3)
    z, semantics = torch.randn(50, 6), 1e3 * torch.randn(50, 3)
    assert torch.equal(fsm(z, semantics), z)
    # A target that only the semantics can tell: scale where their first entry is positive.
    target = torch.where(semantics[:, :1] > 0, 2.0 * z, z - 1.0)
    optimizer = torch.optim.Adam(fsm.parameters(), lr=1e-2)
    for _ in range(400):
        loss = (fsm(z, semantics) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * (z - target).square().mean()
    alpha, beta = fsm.affine(semantics)
    torch.testing.assert_close((1 + alpha) * z + beta, fsm(z, semantics))
    fsm.reset_parameters()
    assert torch.equal(fsm(z, semantics), z)


def test_a_single_semantic_feature_is_refused():
    """The layer norm would make every spot alike."""
    with pytest.raises(ValueError, match="semantic_channels must be at least 2, found 1"):
        FSM(6, 1)
