"""Scores against their definitions, worked out by hand or by brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.model_selection import cross_val_score

from scsemst import metrics

if TYPE_CHECKING:
    from anndata import AnnData

SPATIAL = (metrics.chaos, metrics.pas, metrics.spatial_asw)


def test_agreement_leaves_out_spots_without_label(cortex: AnnData):
    truth = cortex.obs["ground_truth"]
    rng = np.random.default_rng(0)
    found = pd.Series(np.where(rng.random(cortex.n_obs) < 0.3, "x", truth.astype(str)), dtype="category")
    known = truth.notna().to_numpy()
    assert 0 < known.sum() < cortex.n_obs or known.all()
    expected = adjusted_rand_score(truth[known].astype(str), found[known])
    assert metrics.ari(found, truth) == pytest.approx(expected)
    half = truth.astype(object).where(rng.random(cortex.n_obs) < 0.5)
    kept = half.notna().to_numpy()
    assert metrics.ari(found, half) == pytest.approx(adjusted_rand_score(truth[kept].astype(str), found[kept]))
    assert metrics.ari(half, found) == pytest.approx(metrics.ari(found, half))


def test_homogeneity_and_completeness_are_not_swapped():
    fine, coarse = [0, 1, 2, 2], ["a", "a", "b", "b"]
    h, c = metrics.homogeneity(fine, coarse), metrics.completeness(fine, coarse)
    assert h == pytest.approx(1)
    assert c == pytest.approx(2 / 3)  # 1 bit of 1.5 is shared
    assert (metrics.completeness(coarse, fine), metrics.homogeneity(coarse, fine)) == pytest.approx((h, c))
    assert metrics.nmi(fine, coarse) == pytest.approx(2 * h * c / (h + c)), "the V-measure"


def test_chaos_by_hand():
    # Two domains on a line at 0 1 2 | 5 7; nearest in the own domain: 1 1 1 2 2; the second axis is flat
    x = np.array([0.0, 1, 2, 5, 7])
    coords = np.c_[x, np.full(5, 3.0)]
    assert metrics.chaos(list("aaabb"), coords) == pytest.approx(7 / 5 / x.std())
    with_single = metrics.chaos([*"aaabb", "c"], np.r_[coords, [[9, 3]]])
    assert with_single == pytest.approx(7 / 5 / np.r_[x, 9].std())


def test_pas_by_brute_force(cortex: AnnData):
    rng = np.random.default_rng(0)
    coords = cortex.obsm["spatial"][:300].astype(float) + rng.normal(scale=1e-3, size=(300, 2))
    labels = rng.integers(3, size=300)
    distances = np.linalg.norm(coords[:, None] - coords, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argsort(1)[:, :10]
    expected = ((labels[nearest] != labels[:, None]).sum(1) >= 6).mean()
    assert metrics.pas(labels, coords) == pytest.approx(expected)


def test_spots_in_one_place_are_each_others_neighbours():
    coords = np.repeat([[0.0, 0.0], [5.0, 5.0]], 4, axis=0)
    assert metrics.pas(list("aabbaaaa"), coords, n_neighbors=3) == pytest.approx(0.5)
    assert metrics.chaos(list("abababab"), coords) == 0


def test_asw_is_the_silhouette_and_its_sample_is_close(cortex: AnnData):
    truth, coords = cortex.obs["ground_truth"], cortex.obsm["spatial"]
    known = truth.notna().to_numpy()
    whole = silhouette_score(coords[known], truth[known].astype(str))
    assert metrics.spatial_asw(truth, coords) == pytest.approx(whole)
    assert metrics.spatial_asw(truth, coords, n_max=1000) == pytest.approx(whole, abs=0.03)


def test_shuffled_layers_score_worse(cortex: AnnData):
    truth, coords = cortex.obs["ground_truth"], cortex.obsm["spatial"]
    shuffled = np.random.default_rng(0).permutation(truth.astype(object))
    assert metrics.chaos(truth, coords) < metrics.chaos(shuffled, coords)
    assert metrics.pas(truth, coords) < 0.1 < 0.5 < metrics.pas(shuffled, coords)
    assert metrics.spatial_asw(truth, coords) > metrics.spatial_asw(shuffled, coords)


def test_units_do_not_matter(cortex: AnnData):
    truth, coords = cortex.obs["ground_truth"], cortex.obsm["spatial"]
    for score in SPATIAL:
        assert score(truth, 0.1 * coords + 5) == pytest.approx(score(truth, coords))


def test_representation_scores_find_signal_and_only_signal(cortex: AnnData):
    truth, coords = cortex.obs["ground_truth"], cortex.obsm["spatial"]
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(cortex.n_obs, 8))
    codes = truth.cat.codes.to_numpy()
    signal = noise + 3 * rng.normal(size=(truth.nunique() + 1, 8))[codes]
    chance = 1 / truth.nunique()
    assert metrics.knn_purity(signal, truth) > 0.8
    assert metrics.knn_purity(noise, truth) == pytest.approx(chance, abs=0.03)
    assert metrics.knn_purity(signal, truth, n_max=500) == pytest.approx(metrics.knn_purity(signal, truth), abs=0.05)
    assert metrics.spatial_probe(signal, truth, coords) > 0.9
    assert metrics.spatial_probe(noise, truth, coords) == pytest.approx(chance, abs=0.05)


def test_the_probe_does_not_reward_remembering_places(cortex: AnnData):
    # One feature per small patch of tissue: tells spots beside each other apart from all others, and nothing else
    known = cortex[cortex.obs["ground_truth"].notna()][::3]
    truth, coords = known.obs["ground_truth"].to_numpy().astype(str), known.obsm["spatial"].astype(float)
    anchors = coords[np.random.default_rng(0).choice(len(coords), 40, replace=False)]
    z = np.eye(40)[np.linalg.norm(coords[:, None] - anchors, axis=-1).argmin(1)]
    random_folds = cross_val_score(LogisticRegression(), z, truth, scoring="balanced_accuracy").mean()
    assert metrics.spatial_probe(z, truth, coords) < random_folds - 0.2


def test_errors():
    with pytest.raises(ValueError, match=r"lengths \[3, 4\]"):
        metrics.ari([0, 1, 1], [0, 1, 1, 1])
    with pytest.raises(ValueError, match="all are NaN"):
        metrics.pas([np.nan] * 4, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="at least 2 domains"):
        metrics.spatial_asw([1, 1, 1], np.eye(3))
    with pytest.raises(ValueError, match="n_neighbors must be between 1 and 3"):
        metrics.knn_purity(np.eye(4), [0, 0, 1, 1])


def test_a_probe_needs_several_places():
    z, labels = np.random.default_rng(0).normal(size=(60, 3)), np.repeat(["a", "b"], 30)
    with pytest.raises(ValueError, match="coords has 2 different places, too few for n_folds=5"):
        metrics.spatial_probe(z, labels, np.repeat([[0.0, 0.0], [1.0, 1.0]], 30, axis=0), n_blocks=10)
    with pytest.raises(TypeError, match="threshold must be a number, found 'a'"):
        metrics.pas(labels, z[:, :2], threshold="a")
