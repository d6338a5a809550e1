"""Tissue in pieces, spots without neighbours or places, and counts of unusual types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import squidpy as sq
from scipy import sparse

import scsemst
from scsemst._cli import main

from ..slices import corner

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

GRAPH = "spatial_connectivities"


@pytest.fixture(scope="module")
def original() -> AnnData:
    return corner()


@pytest.fixture
def adata(original: AnnData) -> AnnData:
    return original.copy()


def run(adata: AnnData, **options: object) -> AnnData:
    found = scsemst.tl.semst(adata, 3, epochs=3, progress=False, copy=True, **options)
    assert np.isfinite(found.obsm["X_semst"]).all()
    assert found.obs["semst"].nunique() == 3
    return found


def isolate(adata: AnnData, spots: np.ndarray) -> None:
    graph = adata.obsp[GRAPH].tolil()
    graph[spots] = 0
    graph[:, spots] = 0
    adata.obsp[GRAPH] = graph.tocsr()


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize("batch_size", [None, 40])
def test_isolated_spots(adata: AnnData, preset: str, batch_size: int | None):
    isolate(adata, np.arange(0, adata.n_obs, 7))
    run(adata, preset=preset, batch_size=batch_size)


def test_a_graph_of_one_edge(adata: AnnData):
    adata.obsp[GRAPH] = sparse.csr_matrix(([1.0], ([3], [4])), shape=(adata.n_obs, adata.n_obs))
    run(adata)
    run(adata, batch_size=50)


@pytest.mark.parametrize("batch_size", [None, 70])
def test_several_pieces(adata: AnnData, batch_size: int | None):
    """Three sections on one slide: nothing leads from one to the other."""
    pieces = ad.concat([adata] * 3, index_unique="-", pairwise=True)
    for i in range(3):
        pieces.obsm["spatial"][i * adata.n_obs : (i + 1) * adata.n_obs] += 1e5 * i
    assert sparse.csgraph.connected_components(pieces.obsp[GRAPH])[0] >= 3
    run(pieces, batch_size=batch_size)


def test_counts_in_half_precision(adata: AnnData):
    """Dense, since scipy's sparse matrices have no half precision."""
    expected = run(adata)
    adata.X = adata.X.toarray().astype(np.float16)
    np.testing.assert_array_equal(run(adata).obsm["X_semst"], expected.obsm["X_semst"])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_counts_of_other_types(adata: AnnData, dtype: type):
    expected = run(adata)
    adata.X = adata.X.astype(dtype)
    np.testing.assert_array_equal(run(adata).obsm["X_semst"], expected.obsm["X_semst"])


def test_unknown_places_are_no_places(adata: AnnData):
    """The graph says who is whose neighbour: spots whose coordinates are NaN are like others."""
    expected = run(adata)
    adata.obsm["spatial"] = adata.obsm["spatial"].astype(float)
    adata.obsm["spatial"][[2, 5, 9]] = np.nan
    found = run(adata)
    np.testing.assert_array_equal(found.obsm["X_semst"], expected.obsm["X_semst"])
    assert found.obs["semst"].equals(expected.obs["semst"])


def test_no_graph_without_places(adata: AnnData, tmp_path: Path):
    adata.obsm["spatial"] = adata.obsm["spatial"].astype(float)
    adata.obsm["spatial"][4, 0] = np.nan
    del adata.obsp[GRAPH]
    adata.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(SystemExit, match=r"obsm\['spatial'\] has 1 NaN"):
        main(["train", str(tmp_path / "in.h5ad"), str(tmp_path / "out.h5ad")])


def test_one_spot(adata: AnnData):
    with pytest.raises(ValueError, match="no edges between different spots"):
        scsemst.tl.semst(adata[:1].copy(), 1, progress=False)


def test_two_spots(adata: AnnData):
    pair = adata[:2].copy()
    sq.gr.spatial_neighbors_knn(pair, n_neighs=1)
    for key in ("X_gene_semantics", None):
        found = scsemst.tl.semst(pair, 1, semantics_key=key, epochs=2, progress=False, copy=True)
        assert found.obs["semst"].tolist() == ["0", "0"]
        assert np.isfinite(found.obsm["X_semst"]).all()
