"""Training, semantics, marker genes and abundance: what is drawn, with which labels and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from matplotlib.colors import to_hex

import scsemst

if TYPE_CHECKING:
    from anndata import AnnData

TRUTH = "ground_truth"


def test_training_draws_each_loss(adata: AnnData):
    epochs = np.arange(1, 8)
    losses = {"loss": 9.0 / epochs, "reconstruction": 7.0 / epochs, "neighbor": 2.0 / epochs}
    adata.uns["semst"] = {"history": {"epoch": epochs, **losses}, "params": {}, "stopped_epoch": 6}
    axes = scsemst.pl.training(adata, show=False)
    assert [ax.get_title() for ax in axes] == list(losses)
    for ax, values in zip(axes, losses.values(), strict=True):
        curve, stop = ax.get_lines()
        np.testing.assert_array_equal(curve.get_xdata(), epochs)
        np.testing.assert_array_equal(curve.get_ydata(), values)
        assert set(stop.get_xdata()) == {6}
    _, given = plt.subplots(1, 3)
    assert scsemst.pl.training(adata, ax=given) == list(given)
    with pytest.raises(KeyError, match=r"other.*scsemst\.tl\.semst\(adata\)"):
        scsemst.pl.training(adata, "other")


def test_semantics_puts_each_spot_at_its_components(adata: AnnData):
    vectors = adata.X[:, :40].toarray()
    adata.obsm["X_gene_semantics"] = vectors
    uns = set(adata.uns)
    ax = scsemst.pl.semantics(adata, TRUTH, show=False)
    points = ax.collections[0].get_offsets()
    expected = sc.pp.pca(vectors, n_comps=2)
    correlation = np.abs(np.corrcoef(np.sort(points[:, 0]), np.sort(expected[:, 0]))[0, 1])
    mirrored = np.abs(np.corrcoef(np.sort(-points[:, 0]), np.sort(expected[:, 0]))[0, 1])
    assert max(correlation, mirrored) > 0.999
    palette = {to_hex(color) for color in ax.collections[0].get_facecolor()}
    assert palette == set(adata.uns[f"{TRUTH}_colors"])
    assert ax.collections[0].get_rasterized()
    assert set(adata.uns) - uns == {f"{TRUTH}_colors"}
    assert set(adata.obsm) == {"spatial", "X_gene_semantics"}
    with pytest.raises(ValueError, match="method='tsne'"):
        scsemst.pl.semantics(adata, TRUTH, method="tsne")
    del adata.obsm["X_gene_semantics"]
    with pytest.raises(KeyError, match=r"scsemst\.pp\.gene_semantics\(adata\)"):
        scsemst.pl.semantics(adata, TRUTH)


def test_semantics_on_the_tissue(adata: AnnData):
    adata.obsm["X_gene_semantics"] = vectors = adata.X[:, :40].toarray()
    axes = scsemst.pl.semantics(adata, method="tissue", show=False)
    assert [ax.get_title() for ax in axes] == [f"X_gene_semantics, component {i}" for i in (1, 2, 3)]
    components = sc.pp.pca(vectors, n_comps=29)
    for i, ax in enumerate(axes):
        drawn = ax.collections[0]
        assert drawn.get_rasterized()
        low, high = drawn.get_clim()
        assert low == -high, "zero has the middle colour"
        np.testing.assert_array_equal(np.sort(drawn.get_array()), np.sort(components[:, i].astype(np.float64)))
    with pytest.raises(ValueError, match="ax has 1 axes, but 3 panels"):
        scsemst.pl.semantics(adata, method="tissue", ax=axes[0])
    del adata.obsm["spatial"]
    with pytest.raises(KeyError, match="spatial_key="):
        scsemst.pl.semantics(adata, method="tissue")


def test_semantics_as_umap(adata: AnnData):
    part = adata[::6].copy()
    part.obsm["X_gene_semantics"] = part.X[:, :40].toarray()
    ax = scsemst.pl.semantics(part, TRUTH, method="umap", show=False)
    assert ax.get_xlabel() == "UMAP1"
    assert len(ax.collections[0].get_offsets()) == part.n_obs
    assert set(part.obsm) == {"spatial", "X_gene_semantics"}


def test_domain_genes_are_markers(adata: AnnData):
    before = adata.X.copy()
    axes = scsemst.pl.domain_genes(adata, TRUTH, n_genes=2, show=False)
    rows = [label.get_text() for label in axes["mainplot_ax"].get_yticklabels()]
    genes = [label.get_text() for label in axes["mainplot_ax"].get_xticklabels()]
    assert rows == list(adata.obs[TRUTH].cat.categories)
    assert len(genes) == 2 * len(rows)
    assert {"MBP", "PLP1"} & set(genes[-2:]), "myelin genes mark the white matter"
    assert (adata.X != before).nnz == 0
    assert "rank_genes_groups" not in adata.uns
    adata.obs["one"] = "0"
    with pytest.raises(ValueError, match="fewer than two domains"):
        scsemst.pl.domain_genes(adata, "one")


def test_abundance_stacks_to_one(adata: AnnData):
    adata.obs["half"] = np.where(adata.obsm["spatial"][:, 0] < 6000, "left", "right")
    ax = scsemst.pl.abundance(adata, "half", key=TRUTH, show=False)
    classes = list(adata.obs[TRUTH].cat.categories)
    for i, half in enumerate(["left", "right"]):
        heights = [bars[i].get_height() for bars in ax.containers]
        assert sum(heights) == pytest.approx(1)
        share = adata.obs.loc[adata.obs["half"] == half, TRUTH].value_counts(normalize=True)[classes]
        np.testing.assert_allclose(heights, share)
    assert [to_hex(bars[0].get_facecolor()) for bars in ax.containers] == adata.uns[f"{TRUTH}_colors"]
    counts = scsemst.pl.abundance(adata, "half", key=TRUTH, normalize=False, show=False)
    assert sum(bar.get_height() for bars in counts.containers for bar in bars) == adata.obs[TRUTH].notna().sum()
    with pytest.raises(KeyError, match="absent"):
        scsemst.pl.abundance(adata, "absent", key=TRUTH)


def test_truth_values_are_names_of_domains(adata: AnnData):
    adata.obs["half"] = pd.Categorical(np.arange(adata.n_obs) % 2 == 0)
    axes = scsemst.pl.domain_genes(adata, "half", n_genes=2, show=False)
    labels = {text.get_text() for text in axes["mainplot_ax"].get_yticklabels()}
    assert {"True", "False"} <= labels


def test_names_with_an_underscore_are_in_the_legend(adata: AnnData):
    adata.obs["d"] = pd.Categorical(np.array(["_x", "2", "10"])[np.arange(adata.n_obs) % 3])
    adata.obs["sample"] = "one"
    ax = scsemst.pl.abundance(adata, "sample", key="d", show=False)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"_x", "2", "10"}


@pytest.mark.parametrize("d", [1, 2, 3])
def test_semantics_of_few_dimensions(adata: AnnData, d: int):
    adata.obsm["few"] = np.random.default_rng(0).normal(size=(adata.n_obs, d))
    axes = scsemst.pl.semantics(adata, use_rep="few", method="tissue", show=False)
    assert len(axes) == d
    if d == 1:
        with pytest.raises(ValueError, match=r"'few'\] has one dimension, a plot takes two"):
            scsemst.pl.semantics(adata, TRUTH, use_rep="few", show=False)
    else:
        assert scsemst.pl.semantics(adata, TRUTH, use_rep="few", show=False).collections


def test_losses_in_one_order_after_a_file(adata: AnnData):
    """Stores sort the names of losses."""
    history = {
        name: np.array([2.0, 1.0]) for name in ("redundancy", "reconstruction", "other", "neighbor", "loss", "epoch")
    }
    adata.uns["semst"] = {"history": history, "stopped_epoch": 2}
    titles = [ax.get_title() for ax in scsemst.pl.training(adata, show=False)]
    assert titles == ["loss", "reconstruction", "neighbor", "redundancy", "other"]


def test_domain_genes_of_unlucky_names(adata: AnnData):
    few = adata[:300, :50].copy()
    few.obs[few.var_names[0]] = few.obs["ground_truth"]
    few.obs_names.name = "ground_truth"
    for key in ("ground_truth", few.var_names[0]):
        axes = scsemst.pl.domain_genes(few, key, n_genes=1, show=False)
        assert len(axes["mainplot_ax"].get_yticklabels()) == few.obs["ground_truth"].nunique()
    with pytest.raises(TypeError, match="takes no return_fig="):
        scsemst.pl.domain_genes(few, "ground_truth", return_fig=True, show=False)
    few.var_names = [few.var_names[i // 2] for i in range(few.n_vars)]
    with pytest.raises(ValueError, match="var_names_make_unique"):
        scsemst.pl.domain_genes(few, "ground_truth", show=False)
