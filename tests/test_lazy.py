"""What `anndata.experimental.read_lazy` returns is taken by every function: its matrices and columns are read on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
from anndata.experimental import read_lazy

import scsemst

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData

K = 3


@pytest.fixture(scope="module")
def done(cortex: AnnData) -> AnnData:
    adata = cortex[:500].copy()
    adata.obs["half"] = np.repeat(["a", "b"], 250)
    scsemst.pp.gene_semantics(adata)
    return scsemst.tl.semst(adata, K, epochs=2, progress=False, copy=True)


@pytest.fixture
def lazy(done: AnnData, tmp_path: Path) -> AnnData:
    done.write_h5ad(tmp_path / "done.h5ad")
    return read_lazy(tmp_path / "done.h5ad")


def test_training_is_the_same(lazy: AnnData, done: AnnData):
    scsemst.tl.semst(lazy, K, epochs=2, progress=False)
    np.testing.assert_allclose(lazy.obsm["X_semst"], done.obsm["X_semst"], atol=1e-5)
    assert list(lazy.obs["semst"]) == list(done.obs["semst"])


def test_slices(lazy: AnnData):
    scsemst.tl.semst(lazy, batch_key="half", epochs=1, progress=False)
    assert list(lazy.uns["semst"]["batches"]["names"]) == ["a", "b"]


def test_prediction(lazy: AnnData, done: AnnData):
    model = scsemst.SemST.from_adata(done.copy(), K, epochs=2, progress=False)
    scsemst.tl.predict(lazy, model)
    assert (np.asarray(lazy.obs["semst"]) == np.asarray(done.obs["semst"])).mean() > 0.95


CALLS: dict[str, Callable[[AnnData], object]] = {
    "refine": lambda adata: scsemst.tl.refine(adata),
    "domains": lambda adata: scsemst.tl.domains(adata, K, n_init=2),
    "leiden_domains": lambda adata: scsemst.tl.leiden_domains(adata),
    "semantic_drivers": lambda adata: scsemst.tl.semantic_drivers(adata),
    "pl.domains": lambda adata: scsemst.pl.domains(adata, show=False),
    "pl.semantics": lambda adata: scsemst.pl.semantics(adata, show=False),
    "pl.modulation": lambda adata: scsemst.pl.modulation(adata, show=False),
    "pl.domain_genes": lambda adata: scsemst.pl.domain_genes(adata, n_genes=1, show=False),
    "pl.abundance": lambda adata: scsemst.pl.abundance(adata, "half", show=False),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_other_function(lazy: AnnData, name: str):
    CALLS[name](lazy)
    assert isinstance(lazy, ad.AnnData)
    assert lazy.n_obs == 500
