"""The recipes run on the demo slice, find its layers, and FSM does something in them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scanpy as sc
import squidpy as sq

import scsemst

if TYPE_CHECKING:
    from types import ModuleType

    from anndata import AnnData

RECIPES = Path(__file__).resolve().parents[2] / "tutorials" / "recipes"
SEMANTICS = "X_gene_semantics"
CALLS = {
    "VGAE": ("vgae", {}),
    "GAE": ("vgae", {"variational": False}),
    "DGI": ("deep_graph_infomax", {}),
    "GAT": ("gat_autoencoder", {}),
    "modulate": ("modulate", {}),
    "CellCharter": ("cellcharter_embedding", {}),
    "GraphST": ("graphst_embedding", {"n_epochs_graphst": 15}),
}


def recipe(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(cortex: AnnData) -> AnnData:
    adata = cortex[::3, :1000].copy()
    sc.pp.filter_cells(adata, min_counts=1)
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    logged = sc.pp.log1p(sc.pp.normalize_total(adata, target_sum=1e4, copy=True), copy=True)
    adata.obsm["X_pca"] = sc.pp.pca(logged.X, n_comps=30)
    return adata


def test_each_is_short():
    files = list(RECIPES.glob("*.py"))
    assert {path.stem for path in files} == {module for module, _ in CALLS.values()}
    assert all(len(path.read_text("utf-8").splitlines()) <= 60 for path in files)


@pytest.mark.parametrize("name", CALLS)
def test_recipe(prepared: AnnData, name: str):
    module, options = CALLS[name]
    embed = recipe(module).embed
    z = embed(prepared, semantics_key=SEMANTICS, epochs=40, **options)
    assert z.shape[0] == prepared.n_obs
    assert np.isfinite(z).all()
    # Chance is 0.19 for the layers of these spots, the components that go in reach 0.38
    assert scsemst.metrics.knn_purity(z, prepared.obs["ground_truth"]) > 0.3
    short = {"epochs": 2, **options}
    first, second, without = (embed(prepared, semantics_key=key, **short) for key in (SEMANTICS, SEMANTICS, None))
    # PyG scatters gradients to the edges' ends, in an order that may change: alike, but not to the last bit
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert not np.allclose(first, without, atol=1e-3)
