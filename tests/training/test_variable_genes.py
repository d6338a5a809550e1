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
    "message", ["b'reciprocal condition number  4.1e-15'", 'b"near singularities"', "b'svddc failed in l2fit.'"]
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


def test_few_counts_of_many_genes():
    """What scikit-misc says of its own accord where a spot has two dozen counts."""
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.lognormal(-6, 1.5, 3000), (3000, 3000)).astype(np.float32)
    x[:, 0] += 1
    adata = ad.AnnData(sparse.csr_matrix(x))
    with pytest.raises(ValueError, match="reciprocal condition number"):
        sc.pp.highly_variable_genes(adata.copy(), flavor="seurat_v3", n_top_genes=1000)
    assert read_expression(adata, layer=None, n_top_genes=1000, likelihood="zinb").genes.size == 1000


@pytest.mark.parametrize("shift", [0.0, -4.0])
def test_values_below_zero_are_ranked_by_variance(shift: float):
    rng = np.random.default_rng(0)
    x = shift + np.hstack([rng.normal(-2, 0.3, (80, 50)), rng.normal(-2, 1, (80, 30)), rng.normal(2, 0.3, (80, 40))])
    found = read_expression(ad.AnnData(x.astype(np.float32)), layer=None, n_top_genes=30, likelihood="gaussian").genes
    assert sorted(found) == list(range(50, 80))


def test_a_small_slice_beside_a_large_one(monkeypatch: pytest.MonkeyPatch):
    """Genes that few spots of a small slice express are found, however few spots are looked at."""
    from scsemst.training import variable_genes
    from scsemst.training.slices import read_slices

    monkeypatch.setattr(variable_genes, "_MAX_SPOTS", 200)
    rng = np.random.default_rng(0)
    x = rng.poisson(1, (3000, 6)).astype(np.float32) + 1
    small = np.zeros(3000, dtype=bool)
    small[101:140] = True
    x[small, 5] = 0
    x[101, 5] = 1
    x[:, 4] = np.where(small, 0, x[:, 4])
    adata = ad.AnnData(sparse.csr_matrix(x))
    adata.obs["slice"] = np.where(small, "small", "large")
    slices = read_slices(adata, "slice")
    options = {"layer": None, "likelihood": "zinb", "slices": slices}
    assert read_expression(adata, n_top_genes=6, **options).genes.tolist() == [0, 1, 2, 3, 5]
    assert read_expression(adata, n_top_genes=2, **options).genes.size == 2
    spots = variable_genes._sample(3000, slices)
    assert len(np.unique(spots)) == spots.size <= 300
    assert small[spots].sum() == 39
    assert np.diff(spots[~small[spots]]).max() < 60  # of which the small slice has 39 in one place


def test_as_many_values_as_asked_for(slice_: ad.AnnData):
    """Where dispersions are equal or undefined, scanpy takes more or fewer."""
    slice_.X = sparse.csr_matrix(np.random.default_rng(0).integers(3, size=slice_.shape).astype(np.float32))
    for n in (1, 7, 29):
        found = read_expression(slice_, layer=None, n_top_genes=n, likelihood="gaussian")
        assert found.genes.size == n
