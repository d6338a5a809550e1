"""Devices and precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

import scsemst
from scsemst.graphs import spatial_graph
from scsemst.nn import ZINB, Observed, SemST, SparseInput, SpotGraph
from scsemst.training import resolve_device
from scsemst.training.batch import Batch
from scsemst.training.batches import Batches
from scsemst.training.expression import read_expression
from scsemst.training.fit import autocast

if TYPE_CHECKING:
    from anndata import AnnData

CPU = torch.device("cpu")


def test_apple_gpus_fall_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.warns(UserWarning, match=r"sparse matrices.*CPU"):
        assert resolve_device("mps") == CPU
    assert resolve_device("auto") == CPU


@pytest.fixture(scope="module")
def inputs(cortex: AnnData) -> tuple:
    expression = read_expression(cortex, layer=None, n_top_genes=200, likelihood="zinb")
    x, counts = expression.rows(np.arange(cortex.n_obs))
    graph = SpotGraph(spatial_graph(cortex))
    semantics = torch.randn(cortex.n_obs, 12, generator=torch.Generator().manual_seed(0))
    edges = torch.from_numpy(np.stack(spatial_graph(cortex).nonzero()).astype(np.int64))
    library = torch.from_numpy(expression.log_library(np.arange(cortex.n_obs)))
    return SparseInput(x), graph, graph, semantics, Observed(counts), library, edges


@pytest.fixture
def model() -> SemST:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SemST(200, ZINB(16, 200), hidden_channels=32, n_latent=8, semantic_channels=12, latent_layers=2)
        torch.nn.init.normal_(model.fsm.to_affine[-1].weight, std=0.1)  # past the identity
        return model


def test_what_is_half_precision_and_what_is_not(inputs: tuple, model: SemST):
    *read, observed, library, edges = inputs
    kinds: dict[str, torch.dtype] = {}
    dense = ["to_latent.0", "to_latent.2", "decoder.0", "fsm.head.1", "fsm.to_affine.2"]
    for name in dense:
        hook = lambda _, __, out, name=name: kinds.update({name: out.dtype})
        model.get_submodule(name).register_forward_hook(hook)
    with autocast(CPU, "bf16"):
        encoding = model.encode(*read)
        terms = model.loss(encoding, observed, library, edges)
    assert kinds == dict.fromkeys(dense, torch.bfloat16)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    sum(terms.values()).backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}


def test_half_precision_gradients_point_the_same_way(inputs: tuple, model: SemST):
    *read, observed, library, edges = inputs
    gradients = {}
    for precision in ("float32", "bf16"):
        model.zero_grad()
        with autocast(CPU, precision):
            terms = model.loss(model.encode(*read), observed, library, edges)
        sum(terms.values()).backward()
        gradients[precision] = {name: p.grad.clone() for name, p in model.named_parameters()}
    for name, expected in gradients["float32"].items():
        found = gradients["bf16"][name]
        assert torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.99, name


def test_half_precision_finds_the_same_domains(adata: AnnData):
    scsemst.pp.gene_semantics(adata)
    options = {"n_domains": 5, "epochs": 8, "n_top_genes": 300, "progress": False, "copy": True}
    full, half = (scsemst.tl.semst(adata, precision=name, **options) for name in ("float32", "bf16"))
    assert half.uns["semst"]["params"]["precision"] == "bf16"
    a, b = full.obsm["X_semst"], half.obsm["X_semst"]
    assert 0 < np.linalg.norm(a - b) < 0.05 * np.linalg.norm(a)
    assert adjusted_rand_score(full.obs["semst"], half.obs["semst"]) > 0.9


def test_a_batch_does_not_grow_with_the_slice(cortex: AnnData):
    """What moves to the device is one batch; the rest stays where it is, whatever the number of spots."""
    sizes = {}
    for n_copies in (1, 3):
        tissue = ad.concat([cortex] * n_copies, index_unique="-", pairwise=True)
        n = tissue.n_obs
        expression = read_expression(tissue, layer=None, n_top_genes=200, likelihood="zinb")
        data = np.zeros((n, 30), dtype=np.float32), np.zeros((n, 12), dtype=np.float32)
        options = {"batch_size": 250, "n_neighbors": 5, "normalization": "row", "device": CPU}
        batches = Batches(expression, spatial_graph(tissue), *data, None, **options)
        sizes[n_copies] = max(size_of(batch) for batch in batches)
        assert not any(isinstance(value, torch.Tensor | Batch) for value in vars(batches).values())
    assert sizes[3] < 1.2 * sizes[1]


def size_of(batch: Batch) -> int:
    """Count the bytes of a batch's tensors."""
    graphs = [g.matrix for g in (batch.spatial_graph, batch.feature_graph)]
    matrices = [*graphs, *(m for pair in batch.x._factors for m in pair)]
    tensors = [t for m in matrices for t in (m.crow_indices(), m.col_indices(), m.values())]
    tensors += [batch.semantics, batch.log_library, batch.edge_index, batch.observed.flat, batch.observed.values]
    return sum(t.numel() * t.element_size() for t in tensors)
