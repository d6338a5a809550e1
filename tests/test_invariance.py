"""What must not matter, does not: the order of spots and genes, genes that nobody expresses, where the tissue lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import squidpy as sq
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

import scsemst

from .slices import corner

if TYPE_CHECKING:
    from anndata import AnnData

N_DOMAINS = 4


@pytest.fixture(scope="module")
def slice_() -> AnnData:
    return corner(160, 400)


def run(adata: AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Return latent space and labels; fewer genes are chosen than there are, so that ties count."""
    scsemst.pp.gene_semantics(adata)
    scsemst.tl.semst(adata, N_DOMAINS, n_top_genes=200, epochs=4, progress=False)
    return adata.obsm["X_semst"], adata.obs["semst"].to_numpy()


@pytest.fixture(scope="module")
def expected(slice_: AnnData) -> tuple[np.ndarray, np.ndarray]:
    return run(slice_.copy())


def with_graph(adata: AnnData) -> AnnData:
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    return adata


@pytest.mark.parametrize("seed", range(2))
def test_permuting_spots_permutes_the_result(slice_: AnnData, expected, seed: int):
    order = np.random.default_rng(seed).permutation(slice_.n_obs)
    z, labels = run(slice_[order].copy())
    # Sums over spots have another order, so the last digits differ; domains of one size may swap their numbers
    np.testing.assert_allclose(z, expected[0][order], atol=1e-5 * np.abs(expected[0]).max())
    assert adjusted_rand_score(labels, expected[1][order]) == 1


def test_permuting_genes_changes_no_bit(slice_: AnnData, expected):
    z, labels = run(slice_[:, np.random.default_rng(0).permutation(slice_.n_vars)].copy())
    np.testing.assert_array_equal(z, expected[0])
    np.testing.assert_array_equal(labels, expected[1])


def test_genes_without_counts_change_no_bit(slice_: AnnData, expected):
    silent = ad.AnnData(sparse.csr_matrix((slice_.n_obs, 40), dtype=np.float32), obs=slice_.obs[[]])
    silent.var_names = [f"SILENT{i}" for i in range(40)]
    longer = ad.concat([silent, slice_], axis=1)
    longer.obsp["spatial_connectivities"] = slice_.obsp["spatial_connectivities"]
    z, labels = run(longer)
    np.testing.assert_array_equal(z, expected[0])
    np.testing.assert_array_equal(labels, expected[1])


@pytest.mark.parametrize("change", ["scaled", "rotated", "mirrored", "moved"])
def test_where_the_tissue_lies_changes_no_bit(slice_: AnnData, expected, change: str):
    moved = slice_.copy()
    cos, sin = np.cos(0.7), np.sin(0.7)
    transform = {
        "scaled": lambda xy: 0.013 * xy,
        "rotated": lambda xy: xy @ np.array([[cos, -sin], [sin, cos]]),
        "mirrored": lambda xy: xy * [-1, 1],
        "moved": lambda xy: xy + [1e4, -3.0],
    }[change]
    moved.obsm["spatial"] = transform(moved.obsm["spatial"].astype(float))
    z, labels = run(with_graph(moved))
    np.testing.assert_array_equal(z, expected[0])
    np.testing.assert_array_equal(labels, expected[1])


def test_repeated_spots_share_a_domain(slice_: AnnData):
    repeated = np.arange(0, slice_.n_obs, 3)
    twice = ad.concat([slice_, slice_[repeated], slice_[repeated[:5]]])
    twice.obs_names_make_unique()
    z, labels = run(with_graph(twice))
    n = slice_.n_obs
    copies = [*range(n, n + repeated.size), *range(n + repeated.size, twice.n_obs)]
    originals = [*repeated, *repeated[:5]]
    np.testing.assert_array_equal(z[copies], z[originals])
    np.testing.assert_array_equal(labels[copies], labels[originals])


def test_spots_of_one_place_and_other_expression_are_left_apart(slice_: AnnData):
    from scsemst.training.expression import read_expression
    from scsemst.training.repeats import merge_repeats

    other = slice_[:6].copy()
    other.X = other.X.toarray()
    other.X[:3, 0] += 1  # three of them are other spots in the same place, three the same ones
    both = ad.concat([slice_, other])
    both.obs_names_make_unique()
    latent = np.random.default_rng(0).normal(size=(both.n_obs, 4)).astype(np.float32)
    merged = merge_repeats(latent, both, read_expression(both, layer=None, n_top_genes=400, likelihood="zinb"))
    n = slice_.n_obs
    np.testing.assert_allclose(merged[3:6], (latent[3:6] + latent[n + 3 :]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(merged[n + 3 :], merged[3:6])
    untouched = [*range(3), *range(6, n + 3)]
    np.testing.assert_array_equal(merged[untouched], latent[untouched])


@pytest.mark.parametrize("n_domains", [1, 2, 13, 160])
@pytest.mark.parametrize("call", ["semst", "domains", "leiden_domains"])
def test_as_many_domains_as_were_asked_for(slice_: AnnData, expected, call: str, n_domains: int):
    adata = slice_.copy()
    adata.obsm["X_semst"] = expected[0]
    if call == "semst":
        scsemst.tl.semst(adata, n_domains, epochs=1, semantics_key=None, progress=False)
    else:
        getattr(scsemst.tl, call)(adata, n_domains)
    labels = adata.obs["semst"]
    assert labels.notna().all()
    assert labels.nunique() == len(labels.cat.categories) == n_domains
    assert (np.diff(labels.value_counts(sort=False)) <= 0).all(), "by size"
