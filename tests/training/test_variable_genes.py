"""Variable genes where scanpy's smooth trend cannot be fitted."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

from scsemst.training.expression import read_expression
from scsemst.training.variable_genes import _variable_counts


@pytest.fixture
def slice_() -> ad.AnnData:
    """Forty spots of 30 genes, of which three vary far more than a Poisson does."""
    rng = np.random.default_rng(0)
    x = rng.poisson(2.0, size=(40, 30)).astype(np.float32)
    x[:, [4, 11, 25]] = 8.0 * rng.poisson(0.25, size=(40, 3)) + 1.0
    adata = ad.AnnData(sparse.csr_matrix(x))
    adata.var_names = [f"gene{i:02d}" for i in range(30)]
    return adata


def fail_with(message: str, spans: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(adata, *, span: float, **kwargs: object):
        spans.append(span)
        raise ValueError(message)

    monkeypatch.setattr(sc.pp, "highly_variable_genes", fail)


@pytest.mark.parametrize(
    "message", ["b'reciprocal condition number  0.0 near singularities'", "b'svddc failed in l2fit.'"]
)
def test_without_a_trend_the_index_of_dispersion_ranks(
    slice_: ad.AnnData, message: str, monkeypatch: pytest.MonkeyPatch
):
    spans: list[float] = []
    fail_with(message, spans, monkeypatch)
    chosen = _variable_counts(slice_, 3, None)
    assert spans == [0.3, 0.6, 1.0]
    assert np.flatnonzero(chosen).tolist() == [4, 11, 25]


def test_other_errors_are_not_hidden(slice_: ad.AnnData, monkeypatch: pytest.MonkeyPatch):
    fail_with("cannot convert", [], monkeypatch)
    with pytest.raises(ValueError, match="cannot convert"):
        _variable_counts(slice_, 3, None)


def test_few_counts():
    """Counts of one or none still give as many genes as asked for."""
    rng = np.random.default_rng(0)
    x = rng.random((50, 40)) < 0.04
    x[np.arange(50), np.arange(50) % 40] = True  # no empty spot
    adata = ad.AnnData(sparse.csr_matrix(x.astype(np.float32)))
    adata.obsm["spatial"] = rng.random((50, 2))
    expression = read_expression(adata, layer=None, n_top_genes=10, likelihood="zinb")
    assert expression.genes.size == 10
