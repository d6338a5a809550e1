from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from scipy import sparse

from scsemst._chunks import row_blocks
from scsemst.semantics.aggregate import aggregate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TARGET = 1e4


@pytest.fixture(scope="module")
def counts() -> sparse.csr_matrix:
    """Counts of the demo slice, 300 spots × 200 genes, two spots emptied."""
    import scsemst

    x = scsemst.datasets.dlpfc().X[:300, :200].tolil()
    x[[7, 250]] = 0
    return sparse.csr_matrix(x)


@pytest.fixture(scope="module")
def genes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 12)).astype(np.float32), rng.random(200) < 0.8


def naive(counts: sparse.spmatrix, vectors: np.ndarray, matched: np.ndarray, target: float = TARGET) -> np.ndarray:
    """What the docstring says, densely and literally."""
    x = counts.toarray().astype(float)
    filled = x.sum(axis=1) > 0
    logs = np.log1p(target * x[filled] / x[filled].sum(axis=1, keepdims=True))
    centred = (logs - logs.mean(axis=0))[:, matched]
    result = np.zeros((len(x), vectors.shape[1]))
    result[filled] = centred @ vectors[matched] / np.sqrt((centred**2).sum(axis=1).mean())
    return result


FORMS: dict[str, Callable[[sparse.csr_matrix], Any]] = {
    "csr": lambda x: x,
    "csc": lambda x: x.tocsc(),
    "csr array": sparse.csr_array,
    "integers": lambda x: x.astype(np.int32),
    "unsorted": lambda x: sparse.csr_matrix(x.tocsc().T.tocsc().T),
    "dense": lambda x: x.toarray(),
    "fortran": lambda x: np.asfortranarray(x.toarray()),
    "dask dense": lambda x: da.from_array(x.toarray(), chunks=(70, 90)),
    "dask sparse": lambda x: da.from_array(x, chunks=(64, -1), asarray=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_equals_the_dense_formula(form: str, counts: sparse.csr_matrix, genes: tuple, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scsemst._chunks._CHUNK_VALUES", 200 * 64)
    vectors, matched = genes
    result = aggregate(FORMS[form](counts), vectors, matched=matched, target_sum=TARGET)
    assert result.vectors.dtype == np.float32
    np.testing.assert_allclose(result.vectors, naive(counts, vectors, matched), atol=2e-5)
    assert np.flatnonzero(result.empty).tolist() == [7, 250]
    assert not result.vectors[result.empty].any()
    assert result.matched_share == pytest.approx(counts[:, matched].sum() / counts.sum())


def test_median_target(counts: sparse.csr_matrix, genes: tuple):
    totals = np.asarray(counts.sum(axis=1)).ravel()
    result = aggregate(counts, genes[0], matched=genes[1])
    np.testing.assert_allclose(result.vectors, naive(counts, *genes, np.median(totals[totals > 0])), atol=2e-5)


def test_unit_order_whatever_the_number_of_genes_and_the_depth(counts: sparse.csr_matrix):
    rng = np.random.default_rng(0)
    for n_genes in (30, 200):
        for depth in (1, 10):
            vectors = rng.normal(size=(n_genes, 400)) / np.sqrt(400)
            result = aggregate(depth * counts[:, :n_genes], vectors, matched=np.ones(n_genes, dtype=bool))
            filled = result.vectors[~result.empty]
            assert (filled**2).sum(axis=1).mean() == pytest.approx(1, abs=0.15)


def test_chunks_are_bounded(counts: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scsemst._chunks._CHUNK_VALUES", 200 * 64)
    sizes = [block.shape[0] for _, block in row_blocks(counts, name="x")]
    assert sizes == [64, 64, 64, 64, 44]


def test_spots_all_alike_say_nothing(counts: sparse.csr_matrix, genes: tuple):
    same = sparse.vstack([counts[0]] * 5)
    assert not aggregate(same, genes[0], matched=genes[1]).vectors.any()


def test_bad_values(counts: sparse.csr_matrix, genes: tuple):
    vectors, matched = genes
    for value, message in ((-1, "x has negative values"), (np.nan, "x has 1 NaN"), (np.inf, "x has 1 NaN or infinite")):
        bad = counts.astype(np.float32).tolil()
        bad[5, 5] = value
        for form in (bad.tocsr(), bad.toarray()):
            with pytest.raises(ValueError, match=message):
                aggregate(form, vectors, matched=matched)
    with pytest.raises(ValueError, match="all 300 spots are empty"):
        aggregate(counts * 0, vectors, matched=matched)


def test_entries_in_two_parts_are_one(counts: sparse.csr_matrix, genes: tuple[np.ndarray, np.ndarray]):
    parts = sparse.csr_matrix(
        (np.repeat(counts.data / 2, 2), np.repeat(counts.indices, 2), counts.indptr * 2), shape=counts.shape
    )
    before = parts.data.copy()
    vectors, matched = genes
    np.testing.assert_array_equal(
        aggregate(parts, vectors, matched=matched).vectors, aggregate(counts, vectors, matched=matched).vectors
    )
    np.testing.assert_array_equal(parts.data, before)
    assert parts.nnz == 2 * counts.nnz


def test_columns_on_disk_are_slow_and_said_to_be(
    counts: sparse.csr_matrix, genes: tuple[np.ndarray, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    import anndata as ad

    ad.AnnData(counts.tocsc()).write_h5ad(tmp_path / "x.h5ad")
    vectors, matched = genes
    x = ad.read_h5ad(tmp_path / "x.h5ad", backed="r").X
    found = aggregate(x, vectors, matched=matched, name="adata.X").vectors
    np.testing.assert_array_equal(found, aggregate(counts, vectors, matched=matched).vectors)
    assert "adata.X is stored column by column (CSC) on disk" in caplog.text
