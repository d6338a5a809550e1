"""Spatial, expression and gene graphs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse

from scsemst.graphs import feature_graph, features, gene_mixing, spatial_graph

if TYPE_CHECKING:
    from anndata import AnnData


def test_spatial_graph_is_undirected_without_loops(cortex: AnnData):
    directed = cortex.obsp["spatial_connectivities"]
    assert (directed != directed.T).nnz > 0
    before = directed.copy()
    graph = spatial_graph(cortex)
    assert (graph != graph.T).nnz == 0
    assert graph.diagonal().sum() == 0
    assert (graph < directed).nnz == 0
    assert (cortex.obsp["spatial_connectivities"] != before).nnz == 0


def test_feature_graph_finds_the_nearest(monkeypatch: pytest.MonkeyPatch):
    z = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    exact = feature_graph(z, 10)
    distance = np.linalg.norm(z[:, None] - z[None], axis=2)
    nearest = np.argsort(distance, axis=1)[:, 1:11]
    rows = np.repeat(np.arange(300), 10)
    expected = sparse.csr_matrix((np.ones(3000), (rows, nearest.ravel())), shape=(300, 300))
    assert (exact != expected.maximum(expected.T)).nnz == 0

    monkeypatch.setattr(features, "_EXACT_SPOTS", 100)
    approximate = feature_graph(z, 10)
    assert exact.multiply(approximate).sum() > 0.95 * exact.sum()
    assert (approximate != feature_graph(z, 10)).nnz == 0


def test_feature_graph_of_few_spots():
    assert feature_graph(np.zeros((1, 2)), 15).shape == (1, 1)
    assert feature_graph(np.arange(3.0)[:, None], 15).nnz == 6


def test_gene_mixing_lends_between_genes_of_like_meaning():
    rng = np.random.default_rng(0)
    # Two families of three, and a gene without meaning
    vectors = np.concatenate(
        [[1, 0] + 0.01 * rng.normal(size=(3, 2)), [0, 1] + 0.01 * rng.normal(size=(3, 2)), [[0, 0]]]
    )
    mixing = gene_mixing(vectors, 0.5, n_neighbors=2).toarray()
    np.testing.assert_allclose(mixing.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(np.diag(mixing), [0.5] * 6 + [1])
    assert mixing[:3, 3:].sum() == mixing[3:6, :3].sum() == mixing[6, :6].sum() == 0


def test_gene_mixing_without_meaning_or_share_is_the_identity():
    for vectors, share in ((np.zeros((4, 2)), 0.5), (np.eye(4), 0.0)):
        assert (gene_mixing(vectors, share) != sparse.identity(4)).nnz == 0


def test_distances_are_no_connectivities(cortex: AnnData):
    with pytest.raises(
        ValueError, match=r"spatial_distances'\] holds distances.*neighbors_key='spatial_connectivities'"
    ):
        spatial_graph(cortex, "spatial_distances")
    grid = cortex[:40].copy()
    grid.obsm["spatial"] = np.stack(np.divmod(np.arange(40), 8), axis=1).astype(float)
    steps = np.abs(grid.obsm["spatial"][:, None] - grid.obsm["spatial"]).sum(axis=2)
    grid.obsp["spatial_connectivities"] = sparse.csr_matrix((steps == 1).astype(float))
    assert spatial_graph(grid).nnz == 2 * (4 * 8 + 5 * 7)  # neighbours one unit apart, with weights of one


@pytest.mark.parametrize("kind", [np.uint16, np.uint64, object])
def test_coordinates_of_any_type_of_number(adata: AnnData, kind: type):
    """Differences of whole numbers without sign would wrap around, and the graph look like another slice's."""
    adata.obsm["spatial"] = np.round(adata.obsm["spatial"]).astype(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spatial_graph(adata).nnz
    adata.obsp["spatial_connectivities"] = adata.obsp["spatial_distances"]
    with pytest.raises(ValueError, match="holds distances between spots"):
        spatial_graph(adata)


def test_coordinates_that_are_no_numbers_are_not_compared(adata: AnnData):
    adata.obsm["spatial"] = np.full((adata.n_obs, 2), "left")
    assert spatial_graph(adata).nnz
