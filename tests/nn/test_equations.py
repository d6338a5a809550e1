"""Each module against its equation, written out in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from scsemst.nn import (
    FSM,
    NB,
    ZINB,
    GraphConv,
    GraphEncoder,
    NeighborLoss,
    Observed,
    RedundancyLoss,
    SemST,
    SparseInput,
    SpotGraph,
)
from scsemst.nn.likelihoods.zinb import _sum_of_logs
from scsemst.nn.propagation import to_torch_csr

N, N_GENES, N_SEMANTIC = 12, 7, 5


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def adjacency() -> sparse.csr_matrix:
    a = sparse.random(N, N, density=0.2, random_state=0, dtype=np.float32)
    return sparse.csr_matrix(a.maximum(a.T))


def weights(module: torch.nn.Module, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw every parameter, biases and slopes included, and return them in float64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def averaged(adjacency: sparse.csr_matrix) -> np.ndarray:
    looped = adjacency.toarray().astype(float) + np.eye(N)
    return looped / looped.sum(axis=1, keepdims=True)


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def modulation(w: dict[str, np.ndarray], s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = (s - s.mean(-1, keepdims=True)) / np.sqrt(s.var(-1, keepdims=True) + 1e-5)
    h = silu((s * w["head.0.weight"] + w["head.0.bias"]) @ w["head.1.weight"].T + w["head.1.bias"])
    h = silu(h @ w["to_affine.0.weight"].T + w["to_affine.0.bias"])
    return np.split(h @ w["to_affine.2.weight"].T + w["to_affine.2.bias"], 2, axis=-1)


def view(w: dict[str, np.ndarray], x: np.ndarray, a: np.ndarray, activation: str, bias: np.ndarray | float = 0.0):
    for i, layer in enumerate(("first", "second")):
        x = a @ (x @ w[f"{layer}.weight"]) + w[f"{layer}.bias"] + (bias if i == 0 else 0.0)
        slope = w[f"activations.{i}.weight"] if activation == "prelu" else 0.0
        x = np.where(x > 0, x, slope * x)
    return x


def part(w: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in w.items() if name.startswith(prefix)}


def test_fsm(rng):
    fsm = FSM(4, N_SEMANTIC, 6)
    w = weights(fsm)
    z, s = rng.normal(size=(2, N, 4)), 30 * rng.normal(size=(2, N, N_SEMANTIC))  # leading axes are free
    alpha, beta = modulation(w, s)
    found = fsm(torch.tensor(z).float(), torch.tensor(s).float())
    np.testing.assert_allclose(found.detach(), (1 + alpha) * z + beta, rtol=2e-5, atol=1e-5)
    assert [tuple(p.shape) for p in FSM(4, N_SEMANTIC).head[1].parameters()] == [(64, N_SEMANTIC), (64,)]
    assert repr(fsm) == "FSM(4, 5, hidden=6)"

    before = fsm.head[1].weight.detach().clone()
    fsm.reset_parameters()
    assert not torch.equal(fsm.head[1].weight, before)
    assert not fsm.to_affine[-1].weight.any()
    assert torch.equal(fsm.head[0].weight, torch.ones(N_SEMANTIC))


def test_graph_conv(rng, adjacency):
    conv = GraphConv(N_GENES, 4)
    w, x = weights(conv), rng.normal(size=(N, N_GENES))
    found = conv(torch.tensor(x).float(), SpotGraph(adjacency))
    np.testing.assert_allclose(
        found.detach(), averaged(adjacency) @ (x @ w["weight"]) + w["bias"], rtol=1e-4, atol=1e-5
    )
    assert repr(conv) == "GraphConv(7, 4)"
    conv.reset_parameters()
    assert not conv.bias.any()


@pytest.mark.parametrize("n_batches", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_graph_encoder(rng, adjacency, activation, n_batches):
    encoder = GraphEncoder(N_GENES, 4, 3, activation=activation, n_batches=n_batches)
    w, x = weights(encoder), rng.normal(size=(N, N_GENES))
    batch = None if n_batches == 1 else torch.arange(N) % n_batches
    bias = 0.0 if batch is None else w["batch_bias"][batch]
    found = encoder(torch.tensor(x).float(), SpotGraph(adjacency), batch)
    expected = view(w, x, averaged(adjacency), activation, bias)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-5)
    assert encoder.activation == activation

    encoder.reset_parameters()
    assert ("batch_bias" in w) == (n_batches > 1)
    assert encoder.batch_bias is None or not encoder.batch_bias.any()
    assert all((p == 1).all() for p in encoder.activations.parameters())


def test_graph_encoder_defaults():
    encoder = GraphEncoder(N_GENES, 4)
    assert [tuple(p.shape) for p in encoder.parameters()] == [(7, 4), (4,), (4, 4), (4,), (4,), (4,)]
    assert encoder.activation == "prelu"
    with pytest.raises(ValueError, match="activation='gelu' is not one of 'relu', 'prelu'"):
        GraphEncoder(N_GENES, 4, activation="gelu")


@pytest.mark.parametrize(("feature_view", "semantic", "layers"), [(True, True, 2), (False, True, 3), (True, False, 1)])
def test_semst(rng, adjacency, feature_view, semantic, layers):
    counts = sparse.csr_matrix(rng.poisson(1.0, size=(N, N_GENES)).astype(np.float32))
    other = sparse.csr_matrix(np.roll(np.eye(N), 2, axis=1) + np.roll(np.eye(N), -2, axis=1)).astype(np.float32)
    sizes = {
        "hidden_channels": 4,
        "view_channels": 3,
        "n_latent": 2,
        "latent_layers": layers,
        "feature_view": feature_view,
    }
    model = SemST(
        N_GENES, ZINB(6, N_GENES), semantic_channels=N_SEMANTIC if semantic else None, activation="relu", **sizes
    )
    w, x, s = weights(model), np.log1p(counts.toarray().astype(float)), rng.normal(size=(N, N_SEMANTIC))
    spatial = view(part(w, "spatial_view."), x, averaged(adjacency), "relu")
    feature = view(part(w, "feature_view."), x, averaged(other), "relu") if feature_view else None
    z = np.hstack([spatial, feature]) if feature_view else spatial
    if semantic:
        alpha, beta = modulation(part(w, "fsm."), s)
        z = (1 + alpha) * z + beta
    for i in range(layers):
        z = z @ w[f"to_latent.{2 * i}.weight"].T + w[f"to_latent.{2 * i}.bias"]
        z = np.maximum(z, 0) if i < layers - 1 else z

    graphs = (SpotGraph(adjacency), SpotGraph(other) if feature_view else None)
    meanings = torch.tensor(s).float() if semantic else None
    encoding = model.encode(SparseInput(counts.log1p()), *graphs, meanings)
    np.testing.assert_allclose(encoding.latent.detach(), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoding.spatial.detach(), spatial, rtol=1e-4, atol=1e-5)
    assert torch.equal(model(SparseInput(counts.log1p()), *graphs, meanings), encoding.latent)

    library = torch.tensor(rng.normal(size=N)).float()
    edges = torch.tensor(np.stack(adjacency.nonzero()))
    terms = model.loss(encoding, Observed(counts), library, edges)
    hidden = silu(z @ w["decoder.0.weight"].T + w["decoder.0.bias"])
    expected = model.likelihood.loss(torch.tensor(hidden).float(), Observed(counts), library)
    torch.testing.assert_close(terms["reconstruction"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["neighbor"], NeighborLoss()(encoding.latent, edges))
    assert terms.keys() == {"reconstruction", "neighbor"} | ({"redundancy"} if feature_view else set())
    assert encoding.spatial.shape == (N, 3)
    if feature_view:
        np.testing.assert_allclose(encoding.feature.detach(), feature, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(terms["redundancy"], RedundancyLoss()(encoding.spatial, encoding.feature))

    model.reset_parameters()
    drawn = dict(model.named_parameters())
    assert not [name for name in w if np.array_equal(drawn[name].detach().double().numpy(), w[name])]


def test_batches_reach_both_views_and_the_decoder(rng, adjacency):
    counts = sparse.csr_matrix(rng.poisson(1.0, size=(N, N_GENES)).astype(np.float32))
    model = SemST(N_GENES, NB(6, N_GENES, n_batches=2), hidden_channels=4, n_latent=2, n_batches=2)
    w, batch, graph = weights(model), torch.arange(N) % 2, SpotGraph(adjacency)
    x = torch.tensor(np.log1p(counts.toarray()))
    encoding = model.encode(x, graph, graph, None, batch)
    for name, found in (("spatial_view", encoding.spatial), ("feature_view", encoding.feature)):
        own = part(w, f"{name}.")
        expected = view(own, x.double().numpy(), averaged(adjacency), "prelu", own["batch_bias"][batch])
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(model(x, graph, graph, None, batch), encoding.latent)
    edges, observed = torch.tensor(np.stack(adjacency.nonzero())), Observed(counts)
    terms = model.loss(encoding, observed, None, edges, batch)
    expected = model.likelihood.loss(model.decoder(encoding.latent), observed, None, batch)
    assert torch.equal(terms["reconstruction"], expected)


def test_a_part_of_a_graph_knows_the_degrees_of_the_whole(adjacency):
    degree = np.asarray(adjacency.sum(axis=1)).ravel().astype(np.float64) + 1
    here = slice(0, 5)
    part_of = SpotGraph(adjacency[here][:, here], degree=degree[here])
    found = part_of @ torch.ones(5, 2)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[:, 0], averaged(adjacency)[here, here].sum(axis=1), rtol=1e-6)
    assert repr(RedundancyLoss()) == "RedundancyLoss()"
    with pytest.raises(ValueError, match=r"per_spot has \['dropout'\], but NB has \('dispersion',\)"):
        NB(2, 3, per_spot=("dropout",))


def test_semst_defaults():
    model = SemST(N_GENES, NB(6, N_GENES))
    assert model.feature_view is not None
    assert model.fsm is None
    assert len(model.to_latent) == 1
    assert tuple(model.to_latent[0].weight.shape) == (16, 128)
    assert model.spatial_view.activation == "prelu"
    assert not model.neighbor_loss.balanced
    assert not model.neighbor_loss.exact
    assert "NeighborLoss(exact=False, balanced=False)" in repr(model)
    balanced = NeighborLoss(balanced=True)
    assert SemST(N_GENES, NB(6, N_GENES), neighbor_loss=balanced).neighbor_loss is balanced


def test_start_from_needs_a_single_map():
    model = SemST(N_GENES, NB(6, N_GENES), hidden_channels=4, latent_layers=2, feature_view=False)
    with pytest.raises(ValueError, match="latent_layers=1"):
        model.start_from(torch.randn(N_GENES, 4), torch.zeros(N_GENES))


def test_sparse_matrices_are_small():
    matrix = sparse.random(5, 9, density=0.5, format="csr", random_state=0, dtype=np.float64)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    found = to_torch_csr(matrix)
    assert found.dtype == torch.float32
    assert found.col_indices().dtype == found.crow_indices().dtype == torch.int32
    assert found.shape == (5, 9)
    empty = to_torch_csr(sparse.csr_matrix((5, 9)))
    assert empty.shape == (5, 9)
    assert repr(SparseInput(matrix)) == f"SparseInput(shape=(5, 9), nnz={matrix.nnz})"


@pytest.mark.parametrize("n", [1, 2, 6, 7, 8, 12])
def test_sum_of_logs(n, rng):
    x = 1 + np.exp(rng.uniform(-3, 20, size=(n, 1)))
    np.testing.assert_allclose(_sum_of_logs(torch.tensor(x).float()).item(), np.log(x).sum(), rtol=1e-5)
    largest = torch.full((n, 4), 1 + np.exp(20.0)).float()
    np.testing.assert_allclose(_sum_of_logs(largest).item(), 80.0 * n, rtol=1e-5)


@pytest.mark.parametrize("per_spot", [(), ("dispersion",)])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("cls", [NB, ZINB])
def test_dispersion_beyond_its_bounds_is_that_at_the_bound(cls, sign, per_spot, rng):
    """And has no gradient there: it does not run away."""
    counts = sparse.csr_matrix(rng.poisson(1.0, size=(N, 3)).astype(np.float32))
    hidden = torch.tensor(rng.normal(size=(N, 2))).float()
    losses = []
    for raw in (7.0, 7.5, 40.0):
        torch.manual_seed(0)
        module = cls(2, 3, per_spot=per_spot)
        where = module.heads["dispersion"].bias if per_spot else module.per_gene["dispersion"]
        with torch.no_grad():
            if per_spot:
                module.heads["dispersion"].weight.zero_()
            where.fill_(sign * raw)
        losses.append(module.loss(hidden, Observed(counts), torch.zeros(N)))
        losses[-1].backward()
        assert not where.grad.any()
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[2], losses[0])


def test_dropout_starts_rare():
    module = ZINB(2, 3)
    np.testing.assert_allclose(torch.sigmoid(module.per_gene["dropout"]).detach(), 0.0474, atol=1e-4)
    per_spot = ZINB(2, 3, per_spot=("dropout", "dispersion"))
    assert not per_spot.per_gene
    assert repr(per_spot) == "ZINB(2, 3, per_spot=('dropout', 'dispersion'))"
    assert (module.in_channels, module.n_genes) == (2, 3)
    assert NB(2, 3, n_batches=2).batch_bias.shape == (2, 3)


def test_observed_moves_and_tells_its_size():
    observed = Observed(sparse.csr_matrix(np.array([[0.0, 2.0], [2.0, 2.0], [0.5, 0.0]])))
    assert repr(observed) == "Observed(shape=(3, 2), nnz=4, chunk_size=128)"
    assert observed.tally.times.tolist() == [1, 1, 1, 1]  # pseudo-counts: one by one
    whole = Observed(sparse.csr_matrix(np.array([[0.0, 2.0], [2.0, 2.0], [3.0, 0.0]]))).to("cpu")
    tally = whole.tally
    assert list(zip(tally.genes.tolist(), tally.values.tolist(), tally.times.tolist(), strict=True)) == [
        (0, 2.0, 1.0),
        (0, 3.0, 1.0),
        (1, 2.0, 2.0),
    ]
    assert tally.values.dtype == tally.times.dtype == torch.float32
    assert tally.genes.dtype == torch.int64


@pytest.mark.parametrize("largest", [3, 5000], ids=["counted", "sorted"])
def test_the_tally_counts_each_gene_and_value(rng: np.random.Generator, largest: int):
    dense = rng.poisson(0.5, size=(40, 6)).astype(np.float32)
    dense[3, 2] = largest
    tally = Observed(sparse.csr_matrix(dense)).tally
    found = list(zip(tally.genes.tolist(), tally.values.tolist(), tally.times.tolist(), strict=True))
    expected = [(g, v, (dense[:, g] == v).sum()) for g in range(6) for v in np.unique(dense[:, g]) if v]
    assert found == expected


def test_larger_chunks_are_cut_as_if_asked_for(rng: np.random.Generator):
    matrix = sparse.csr_matrix(rng.poisson(0.5, size=(40, 6)))
    observed, expected = Observed(matrix, chunk_size=7), Observed(matrix, chunk_size=30)
    observed._cut(30)
    for a, b in zip(observed, expected, strict=True):
        assert a.rows == b.rows
        assert torch.equal(a.flat, b.flat)
