"""Domains of the real slice: mixture, Leiden and refinement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import scsemst

if TYPE_CHECKING:
    from anndata import AnnData


@pytest.fixture(scope="module")
def reduced(cortex: AnnData) -> AnnData:
    """The slice with twelve components of its smoothed expression as `X_semst`."""
    adata = cortex.copy()
    x = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    weights = cortex.obsp["spatial_connectivities"]
    adata.X = weights @ adata.X / 6 + adata.X
    adata.obsm["X_semst"] = sc.pp.pca(adata.X, n_comps=12, random_state=0)
    adata.X = x
    return adata


def find(function: str, adata: AnnData, **kwargs) -> pd.Series:
    return getattr(scsemst.tl, function)(adata, copy=True, **kwargs).obs["semst"]


@pytest.mark.parametrize("function", ["domains", "leiden_domains"])
@pytest.mark.parametrize("n_domains", [2, 13])
def test_as_many_domains_as_asked_for(reduced: AnnData, function: str, n_domains: int):
    fast = {"n_init": 4} if function == "domains" else {}
    labels = find(function, reduced, n_domains=n_domains, **fast)
    assert list(labels.cat.categories) == [str(i) for i in range(n_domains)]
    sizes = labels.value_counts(sort=False).to_numpy()
    assert sizes.min() > 0
    assert (np.diff(sizes) <= 0).all()
    pd.testing.assert_series_equal(labels, find(function, reduced, n_domains=n_domains, **fast))


def test_domains_are_layers(reduced: AnnData):
    truth = reduced.obs["ground_truth"]
    first, second = (find("domains", reduced, n_domains=7, rng=seed) for seed in (0, 1))
    assert scsemst.metrics.ari(first, truth) > 0.45
    assert scsemst.metrics.ari(first, second) > 0.95, "stable from seed to seed"
    assert scsemst.metrics.ari(find("leiden_domains", reduced, n_domains=7), truth) > 0.3


def test_what_is_written(reduced: AnnData):
    adata = reduced.copy()
    adata.uns["semst"] = {"params": {"epochs": 3}}
    assert scsemst.tl.domains(adata, 3, n_init=2) is None
    assert adata.uns["semst"]["params"] == {"epochs": 3}, "what tl.semst wrote stays"
    assert adata.uns["semst"]["domains"]["n_domains"] == 3
    assert scsemst.tl.leiden_domains(adata, resolution=0.3, key_added="leiden") is None
    assert adata.uns["leiden"]["domains"]["n_domains"] == adata.obs["leiden"].nunique()
    assert scsemst.tl.refine(adata) is None
    assert adata.obs["semst_refined"].cat.categories.equals(adata.obs["semst"].cat.categories)
    assert set(adata.obs) - set(reduced.obs) == {"semst", "leiden", "semst_refined"}


def test_merges_when_no_resolution_hits(caplog: pytest.LogCaptureFixture):
    # Six far groups: the neighbour graph falls into six parts, which no resolution joins
    rng = np.random.default_rng(0)
    z = np.repeat(np.array([[0, 0], [0, 9], [90, 0], [90, 9], [0, 90], [9, 90]]), 40, axis=0) + rng.normal(
        size=(240, 2)
    )
    adata = sc.AnnData(np.ones((240, 1), np.float32), obsm={"X_semst": z})
    scsemst.tl.leiden_domains(adata, 3)
    assert "No resolution gives 3 domains" in caplog.text
    groups = adata.obs["semst"].to_numpy().reshape(6, 40)
    assert all(len(set(group)) == 1 for group in groups)
    assert groups[0, 0] == groups[1, 0] and groups[2, 0] == groups[3, 0] and groups[4, 0] == groups[5, 0]


def test_refine_makes_domains_more_compact(reduced: AnnData):
    adata = reduced.copy()
    noisy = adata.obs["ground_truth"].copy()
    rng = np.random.default_rng(0)
    swap = rng.choice(adata.n_obs, 300, replace=False)
    noisy.iloc[swap] = rng.permutation(noisy.iloc[swap].to_numpy())
    adata.obs["noisy"] = noisy
    scsemst.tl.refine(adata, key="noisy", n_iter=3)
    ari = scsemst.metrics.ari
    assert ari(adata.obs["ground_truth"], adata.obs["noisy_refined"]) > ari(adata.obs["ground_truth"], noisy) + 0.05
    assert (adata.obs["noisy_refined"].isna() == noisy.isna()).all()


def test_errors_name_the_fix_and_write_nothing(reduced: AnnData):
    adata = reduced.copy()
    with pytest.raises(KeyError, match=r"X_other.*X_semst.*tl\.semst"):
        scsemst.tl.domains(adata, 3, use_rep="X_other")
    with pytest.raises(KeyError, match=r"absent.*tl\.semst"):
        scsemst.tl.refine(adata, key="absent")
    with pytest.raises(KeyError, match="spatial_neighbors_knn"):
        scsemst.tl.refine(adata, key="ground_truth", neighbors_key="absent")
    with pytest.raises(ValueError, match="n_domains must be between 1 and"):
        scsemst.tl.leiden_domains(adata, adata.n_obs + 1)
    adata.obsm["X_semst"][3, 0] = np.nan
    for function in (scsemst.tl.domains, scsemst.tl.leiden_domains):
        with pytest.raises(ValueError, match="X_semst.*NaN"):
            function(adata, 3)
    assert set(adata.obs) == set(reduced.obs)
    assert set(adata.uns) == set(reduced.uns)
