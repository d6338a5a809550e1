"""The recipes run on the demo slice, find its layers, and FSM does something in them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scanpy as sc

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
}


def recipe(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(cortex: AnnData) -> AnnData:
    adata = cortex.copy()
    scsemst.pp.gene_semantics(adata)
    logged = sc.pp.log1p(sc.pp.normalize_total(adata, target_sum=1e4, copy=True), copy=True)
    adata.obsm["X_pca"] = sc.pp.pca(logged.X, n_comps=50)
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
    # Chance is 0.14 for the layers of this slice, a spot's nearest neighbours in noise no better
    assert scsemst.metrics.knn_purity(z, prepared.obs["ground_truth"]) > 0.35
    short = {"epochs": 2, **options}
    assert np.array_equal(
        embed(prepared, semantics_key=SEMANTICS, **short), embed(prepared, semantics_key=SEMANTICS, **short)
    )
    assert not np.allclose(
        embed(prepared, semantics_key=SEMANTICS, **short), embed(prepared, semantics_key=None, **short)
    )
