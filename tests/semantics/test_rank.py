from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from anndata import read_h5ad
from scipy import sparse

import scsemst
from scsemst.semantics.rank import top_genes

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


@pytest.fixture(scope="module")
def slice_() -> AnnData:
    return scsemst.datasets.dlpfc()[:300].copy()


def named(adata: AnnData, top: np.ndarray) -> list[list[str]]:
    return [adata.var_names[row[row >= 0]].tolist() for row in top]


@pytest.mark.parametrize("rank_by", ["deviance", "expression"])
def test_matches_a_plain_computation(rank_by: str, slice_: AnnData):
    x = slice_.X.toarray().astype(float)
    mean = x.sum(1, keepdims=True) * x.sum(0) / x.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = np.sign(x - mean) * np.sqrt(2 * (np.where(x > 0, x * np.log(x / mean), 0) - x + mean))
    score = deviance if rank_by == "deviance" else x
    names = slice_.var_names
    for spot, found in enumerate(named(slice_, top_genes(slice_.X, names, n_top_genes=10, rank_by=rank_by))):
        kept = np.flatnonzero((x[spot] > 0) & (score[spot] >= 0))
        expected = sorted(kept, key=lambda gene: (-np.float32(score[spot, gene]), names[gene]))[:10]
        assert found == names[expected].tolist()


@pytest.mark.parametrize("rank_by", ["deviance", "expression"])
def test_order_of_columns_does_not_matter(rank_by: str, slice_: AnnData):
    shuffled = slice_[:, np.random.default_rng(0).permutation(slice_.n_vars)].copy()
    options = {"n_top_genes": 10, "rank_by": rank_by}
    assert named(slice_, top_genes(slice_.X, slice_.var_names, **options)) == named(
        shuffled, top_genes(shuffled.X, shuffled.var_names, **options)
    )


@pytest.mark.parametrize("rank_by", ["deviance", "expression"])
def test_every_kind_of_matrix_gives_the_same(rank_by: str, slice_: AnnData, tmp_path: Path):
    from dask.array import from_array

    options = {"names": slice_.var_names, "n_top_genes": 10, "rank_by": rank_by, "block_size": 64}
    expected = top_genes(slice_.X, **options)
    slice_.write_h5ad(tmp_path / "slice.h5ad")
    backed = read_h5ad(tmp_path / "slice.h5ad", backed="r")
    dense = slice_.X.toarray()
    kinds = {
        "csc": slice_.X.tocsc(),
        "csr_array": sparse.csr_array(slice_.X),
        "dense": dense,
        "view": slice_[:].X,
        "backed": backed.X,
        "dask": from_array(dense, chunks=(100, -1)),
        "dask sparse": from_array(dense, chunks=(100, -1)).map_blocks(sparse.csr_matrix),
    }
    for kind, x in kinds.items():
        np.testing.assert_array_equal(top_genes(x, **options), expected, err_msg=kind)
    backed.file.close()


def test_deviance_finds_what_is_special(slice_: AnnData):
    """Neighbours in tissue share more of their special genes than of all others; housekeeping genes do not lead."""
    top = top_genes(slice_.X, slice_.var_names, n_top_genes=10)
    most_expressed = top_genes(slice_.X, slice_.var_names, n_top_genes=10, rank_by="expression")
    assert len(np.unique(top)) > 5 * len(np.unique(most_expressed))
    white_matter = int(np.argmax(slice_[:, "MBP"].X.toarray()))
    assert "MBP" in named(slice_, top[[white_matter]])[0]


def test_spots_with_few_genes_or_none():
    x = sparse.csr_matrix(np.array([[0, 0, 0], [5, 0, 0], [2, 2, 2]]))
    top = top_genes(x, ["B", "A", "C"], n_top_genes=2, rank_by="expression")
    np.testing.assert_array_equal(top, [[-1, -1], [0, -1], [1, 0]])
    only = top_genes(x[2:], ["B", "A", "C"], n_top_genes=3)
    np.testing.assert_array_equal(only, [[1, 0, 2]])


def test_bad_values(slice_: AnnData):
    with pytest.raises(ValueError, match="negative values"):
        top_genes(-slice_.X, slice_.var_names, n_top_genes=10)
    x = slice_.X.astype(float)
    x.data[3] = np.nan
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        top_genes(x, slice_.var_names, n_top_genes=10)


def test_entries_in_two_parts_are_one():
    parts = sparse.csr_matrix(([3.0, 3.0, 5.0], [0, 0, 1], [0, 3]), shape=(1, 3))
    assert top_genes(parts, ["A", "B", "C"], n_top_genes=2, rank_by="expression").tolist() == [[0, 1]]
    assert parts.nnz == 3
