"""Leiden clustering that hits a number of domains."""

from __future__ import annotations

import logging
from itertools import combinations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

import scsemst
from scsemst.domains import leiden as module
from scsemst.domains.leiden import leiden, leiden_for, merge_closest


@pytest.fixture(scope="module")
def blobs() -> ad.AnnData:
    """Three pairs of neighbouring clusters, 40 rows each, and their graph."""
    centres = np.array([[0, 0], [4, 0], [20, 0], [24, 0], [0, 20], [4, 20]])
    rows = np.random.default_rng(0).normal(size=(240, 2)) + np.repeat(centres, 40, axis=0)
    adata = ad.AnnData(obsm={"X": rows.astype(np.float32)}, shape=(240, 0))
    sc.pp.neighbors(adata, use_rep="X", random_state=0)
    return adata


@pytest.fixture
def graph(blobs):
    return blobs.obsp["connectivities"]


def scatter(z: np.ndarray, labels: np.ndarray) -> float:
    return sum(((z[labels == name] - z[labels == name].mean(axis=0)) ** 2).sum() for name in np.unique(labels))


def answers(monkeypatch: pytest.MonkeyPatch, number) -> list[float]:
    """Let `leiden` find as many clusters as `number` says, and list the resolutions that it is asked for."""
    asked: list[float] = []

    def found(graph, resolution, *, random_state):
        assert random_state == 5
        asked.append(resolution)
        return np.arange(graph.shape[0]) % number(resolution)

    monkeypatch.setattr(module, "leiden", found)
    return asked


@pytest.mark.parametrize("resolution", [0.1, 1.0])
def test_it_is_scanpys(blobs, graph, resolution):
    found = leiden(graph, resolution, random_state=3)
    sc.tl.leiden(
        blobs, resolution, flavor="igraph", n_iterations=2, directed=False, random_state=3, key_added="by_scanpy"
    )
    assert found.dtype.kind == "i"
    assert np.array_equal(found, blobs.obs["by_scanpy"].astype(int))


def test_the_resolution_gives_the_labels(blobs, graph, caplog):
    pairs = np.repeat(np.arange(3), 80)
    resolutions = []
    for k in (3, 6, 9):
        labels, resolution = leiden_for(graph, blobs.obsm["X"], k, random_state=0)
        assert len(np.unique(labels)) == k
        assert np.array_equal(labels, leiden(graph, resolution, random_state=0))
        resolutions.append(resolution)
        if k == 3:
            assert adjusted_rand_score(labels, pairs) == 1
    assert resolutions == sorted(set(resolutions))
    assert not caplog.records


def test_resolutions_are_doubled_then_halved(monkeypatch, blobs, graph):
    asked = answers(monkeypatch, lambda resolution: 2 if resolution < 5 else 3 if resolution < 6.5 else 4)
    labels, resolution = leiden_for(graph, blobs.obsm["X"], 3, random_state=5)
    assert asked == [1, 2, 4, 8, 6]
    assert (resolution, labels.max()) == (6, 2)


def test_what_no_resolution_gives_is_merged_from_the_fewest(monkeypatch, blobs, graph, caplog):
    asked = answers(monkeypatch, lambda resolution: 2 if resolution < 0.3 else 4 if resolution < 0.6 else 6)
    with caplog.at_level(logging.WARNING, "scsemst"):
        labels, resolution = leiden_for(graph, blobs.obsm["X"], 3, random_state=5)
    assert len(asked) == 25
    assert asked[:4] == [1, 0.5, 0.25, 0.375]
    assert asked[-1] == pytest.approx(0.3)
    assert resolution == 0.5
    assert np.array_equal(labels, merge_closest(blobs.obsm["X"], np.arange(240) % 4, 3))
    assert "No resolution gives 3 domains: the closest ones of 4 (resolution 0.5) were merged." in caplog.messages


def test_more_than_any_resolution_gives(monkeypatch, blobs, graph):
    asked = answers(monkeypatch, lambda resolution: 2)
    with pytest.raises(ValueError, match="^No resolution up to 4 gives as many as 3 domains. Ask for fewer."):
        leiden_for(graph, blobs.obsm["X"], 3, random_state=5, max_tries=3)
    assert len(asked) == 3


@pytest.mark.parametrize("k", [0, 241])
def test_numbers_that_cannot_be(blobs, graph, k):
    with pytest.raises(ValueError, match=r"^n_domains must be between 1 and 240"):
        leiden_for(graph, blobs.obsm["X"], k, random_state=0)


def test_merging_single_rows_is_ward():
    z = np.random.default_rng(1).normal(size=(40, 3))
    for k in (1, 2, 5, 39, 40):
        merged = merge_closest(z, np.arange(40), k)
        assert len(np.unique(merged)) == k
        assert adjusted_rand_score(merged, AgglomerativeClustering(k, linkage="ward").fit_predict(z)) == 1


def test_each_merge_adds_the_least_scatter():
    rng = np.random.default_rng(2)
    z, given = rng.normal(size=(60, 2)), rng.choice(8, size=60, p=np.arange(1, 9) / 36) * 10
    labels, before = given, given.copy()
    for k in range(len(np.unique(given)) - 1, 0, -1):
        merged = merge_closest(z, labels, k)
        least = min(scatter(z, np.where(labels == b, a, labels)) for a, b in combinations(np.unique(labels), 2))
        assert scatter(z, merged) == pytest.approx(least)
        assert adjusted_rand_score(merged, merge_closest(z, given, k)) == 1
        labels = merged
    assert np.array_equal(given, before)


def test_equal_spots_are_not_told_apart(adata: ad.AnnData):
    adata.obsm["X_semst"] = np.eye(5)[np.arange(adata.n_obs) % 5]
    with pytest.raises(ValueError, match="n_domains=6 is more than the 5 distinct rows"):
        scsemst.tl.leiden_domains(adata, n_domains=6)
