"""`tl.modulate`, `tl.semantic_drivers`, `tl.n_domains`: what they write, and what they say to bad input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scanpy as sc
import torch
from scipy import sparse

import scsemst
from scsemst.training.modulate import load_fsm

if TYPE_CHECKING:
    from anndata import AnnData

OUT = "X_pca_semst"


@pytest.fixture(scope="module")
def embedded(cortex: AnnData) -> AnnData:
    """A part of the slice with semantics, components and layers as domains."""
    adata = cortex[::4, :1000].copy()
    sc.pp.filter_cells(adata, min_counts=1)
    scsemst.pp.gene_semantics(adata)
    logged = sc.pp.log1p(sc.pp.normalize_total(adata, target_sum=1e4, copy=True), copy=True)
    adata.obsm["X_pca"] = sc.pp.pca(logged.X, n_comps=12) + 3.0  # not centred: α must scale what the user has
    return adata


@pytest.fixture(scope="module")
def modulated(embedded: AnnData) -> AnnData:
    return scsemst.tl.modulate(embedded, "X_pca", epochs=40, progress=False, copy=True)


def test_modulation_is_what_it_says(embedded: AnnData, modulated: AnnData, tmp_path):
    z = embedded.obsm["X_pca"]
    alpha, beta = modulated.obsm[f"{OUT}_alpha"], modulated.obsm[f"{OUT}_beta"]
    np.testing.assert_allclose(modulated.obsm[OUT], (1 + alpha) * z + beta, rtol=1e-4, atol=1e-4)
    assert modulated.obsm[OUT].dtype == np.float32
    assert np.abs(alpha).max() > 0.01
    assert np.abs(beta).max() > 0.01
    record = modulated.uns[OUT]
    assert record["history"]["loss"][-1] < record["history"]["loss"][0]
    assert record["semantics"]["organism"] == "human"
    assert np.array_equal(modulated.obsm["X_pca"], z)
    assert OUT not in embedded.obsm
    modulated.write_h5ad(tmp_path / "slice.h5ad")
    fsm, standard = load_fsm(sc.read_h5ad(tmp_path / "slice.h5ad").uns[OUT]["fsm"])
    with torch.no_grad():
        again = fsm.affine(torch.from_numpy(standard.apply(modulated.obsm["X_gene_semantics"])))[0].numpy()
    np.testing.assert_allclose(again, alpha, atol=1e-5)


def test_semantics_help_to_explain_counts(embedded: AnnData, modulated: AnnData):
    """Semantics that say nothing of a spot, those of another, explain its counts less well."""
    other = embedded.copy()
    order = np.random.default_rng(0).permutation(other.n_obs)
    other.obsm["X_gene_semantics"] = other.obsm["X_gene_semantics"][order]
    scsemst.tl.modulate(other, "X_pca", epochs=40, progress=False)
    assert modulated.uns[OUT]["history"]["loss"][-1] < other.uns[OUT]["history"]["loss"][-1]


def test_same_seed_same_bits(embedded: AnnData):
    before = torch.get_rng_state()
    runs = [scsemst.tl.modulate(embedded, "X_pca", epochs=2, progress=False, copy=True) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(runs[0].obsm[OUT], runs[1].obsm[OUT])


@pytest.mark.parametrize("likelihood", ["nb", "poisson", "gaussian"])
def test_likelihoods(embedded: AnnData, likelihood: str):
    result = scsemst.tl.modulate(embedded, "X_pca", likelihood=likelihood, epochs=8, progress=False, copy=True)
    loss = result.uns[OUT]["history"]["loss"]
    assert loss[-1] < loss[0]
    assert np.isfinite(result.obsm[OUT]).all()


def test_bad_input_leaves_no_key(embedded: AnnData):
    adata = embedded.copy()
    keys = set(adata.obsm), set(adata.uns)
    with pytest.raises(KeyError, match=r"X_scVI.*available.*X_pca"):
        scsemst.tl.modulate(adata)
    with pytest.raises(KeyError, match=r"scsemst\.pp\.gene_semantics\(adata\)"):
        scsemst.tl.modulate(adata, "X_pca", semantics_key="absent")
    with pytest.raises(ValueError, match="overwrite"):
        scsemst.tl.modulate(adata, "X_pca", key_added="X_pca")
    with pytest.raises(ValueError, match="learning_rate"):
        scsemst.tl.modulate(adata, "X_pca", learning_rate=0)
    with pytest.raises(ValueError, match="likelihood='zip'"):
        scsemst.tl.modulate(adata, "X_pca", likelihood="zip")
    for value, message in ((np.nan, "NaN"), (1.0, "same for every spot")):
        adata.obsm["X_bad"] = np.full((adata.n_obs, 3), value)
        with pytest.raises(ValueError, match=message):
            scsemst.tl.modulate(adata, "X_bad")
        with pytest.raises(ValueError, match=message):
            scsemst.tl.modulate(adata, "X_pca", semantics_key="X_bad")
    del adata.obsm["X_bad"]
    adata.layers["scaled"] = adata.X.toarray() - 1
    with pytest.raises(ValueError, match="negative"):
        scsemst.tl.modulate(adata, "X_pca", layer="scaled")
    assert (set(adata.obsm), set(adata.uns)) == keys


def test_drivers_add_up_to_the_modulation(modulated: AnnData, tmp_path):
    adata = modulated.copy()
    scsemst.tl.semantic_drivers(adata, "ground_truth", modulation_key=OUT, n_genes=None, n_steps=32)
    table = adata.uns["semantic_drivers"]
    labels = adata.obs["ground_truth"]
    assert list(table["domain"].unique()) == list(labels.cat.categories)
    np.testing.assert_allclose(table["contribution"], table["alpha"] + table["beta"], atol=1e-6)

    fsm, standard = load_fsm(adata.uns[OUT]["fsm"])
    s = torch.from_numpy(standard.apply(adata.obsm["X_gene_semantics"]))
    with torch.no_grad():
        m = torch.cat(fsm.affine(s), dim=1).numpy()
        none = torch.cat(fsm.affine(torch.zeros_like(s[:1])), dim=1).numpy()[0]
    for domain, part in table.groupby("domain"):
        rows = (labels == domain).to_numpy()
        direction = m[rows].mean(axis=0) - m.mean(axis=0)
        explained = (m[rows].mean(axis=0) - none) @ direction / np.linalg.norm(direction)
        assert part["contribution"].sum() == pytest.approx(explained, rel=0.05, abs=0.01)
        assert (np.diff(part["contribution"]) <= 0).all()
    adata.write_h5ad(tmp_path / "slice.h5ad")
    assert list(sc.read_h5ad(tmp_path / "slice.h5ad").uns["semantic_drivers"].columns) == list(table.columns)


def test_drivers_ask_for_what_is_missing(modulated: AnnData):
    adata = modulated.copy()
    call = {"key": "ground_truth", "modulation_key": OUT}
    with pytest.raises(KeyError, match=r"scsemst\.tl\.modulate"):
        scsemst.tl.semantic_drivers(adata, "ground_truth")
    with pytest.raises(KeyError, match=r"scsemst\.tl\.domains"):
        scsemst.tl.semantic_drivers(adata, modulation_key=OUT)
    adata.X = adata.X[::-1]
    with pytest.raises(ValueError, match="changed since"):
        scsemst.tl.semantic_drivers(adata, **call)
    del adata.varm["X_gene_semantics"]
    with pytest.raises(KeyError, match="summed over genes"):
        scsemst.tl.semantic_drivers(adata, **call)
    assert "semantic_drivers" not in adata.uns


def test_plot_shows_each_feature(modulated: AnnData):
    keys = set(modulated.obs), set(modulated.uns)
    axes = scsemst.pl.modulation(modulated, OUT, dims=2, show=False)
    assert [ax.get_title()[0] for ax in axes] == ["α", "α", "β", "β"]
    feature = int(axes[0].get_title().split()[-1])
    drawn = axes[0].collections[0]
    np.testing.assert_allclose(drawn.get_array(), modulated.obsm[f"{OUT}_alpha"][:, feature], rtol=1e-5)
    assert drawn.norm.vmin == -drawn.norm.vmax
    assert (set(modulated.obs), set(modulated.uns)) == keys
    with pytest.raises(ValueError, match="between 0 and 11"):
        scsemst.pl.modulation(modulated, OUT, dims=[12])
    with pytest.raises(KeyError, match=r"scsemst\.tl\.modulate"):
        scsemst.pl.modulation(modulated)


def test_number_of_domains(embedded: AnnData, tmp_path):
    adata = embedded.copy()
    chosen = scsemst.tl.n_domains(adata, [2, 3, 5, 8], use_rep="X_pca", n_repeats=2, progress=False)
    record = adata.uns["n_domains"]
    assert chosen == record["n_domains"] == record["scores"].set_index("n_domains")["score"].idxmax()
    assert record["scores"]["n_domains"].tolist() == [2, 3, 5, 8]
    adata.write_h5ad(tmp_path / "slice.h5ad")
    axes = scsemst.pl.n_domains(sc.read_h5ad(tmp_path / "slice.h5ad"), show=False)
    for ax, name in zip(axes, ("stability", "bic", "score"), strict=True):
        np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), record["scores"][name])
        assert set(ax.get_lines()[1].get_xdata()) == {chosen}
    with pytest.raises(KeyError, match=r"scsemst\.tl\.semst\(adata\)"):
        scsemst.tl.n_domains(adata)
    adata.obsm["X_pca"][0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        scsemst.tl.n_domains(adata, use_rep="X_pca")


def test_semantics_are_averaged_over_the_tissue_if_asked(embedded: AnnData, tmp_path):
    adata = embedded.copy()
    call = {"epochs": 3, "progress": False, "copy": True}
    found = scsemst.tl.modulate(adata, "X_pca", semantic_hops=2, **call)
    graph = adata.obsp["spatial_connectivities"].toarray()
    looped = ((graph + graph.T) > 0) + np.eye(adata.n_obs)
    average = looped / looped.sum(axis=1, keepdims=True)
    by_hand = adata.copy()
    by_hand.obsm["X_gene_semantics"] = (average @ average @ adata.obsm["X_gene_semantics"]).astype(np.float32)
    expected = scsemst.tl.modulate(by_hand, "X_pca", **call)
    np.testing.assert_allclose(found.obsm[OUT], expected.obsm[OUT], rtol=1e-3, atol=1e-3)
    assert not np.allclose(found.obsm[OUT], scsemst.tl.modulate(adata, "X_pca", **call).obsm[OUT], atol=1e-2)

    found.write_h5ad(tmp_path / "slice.h5ad")
    read = sc.read_h5ad(tmp_path / "slice.h5ad")
    read.obs["half"] = np.where(np.arange(read.n_obs) % 2, "a", "b")
    call = {"modulation_key": OUT, "n_steps": 2}
    scsemst.tl.semantic_drivers(read, "half", **call)  # reads the graph again
    assert len(read.uns["semantic_drivers"])
    del read.obsp["spatial_connectivities"]
    with pytest.raises(KeyError, match="spatial_connectivities"):
        scsemst.tl.semantic_drivers(read, "half", **call)


def test_averages_need_a_graph(embedded: AnnData):
    adata = embedded.copy()
    del adata.obsp["spatial_connectivities"]
    with pytest.raises(KeyError, match=r"spatial_connectivities.*squidpy\.gr\.spatial_neighbors"):
        scsemst.tl.modulate(adata, "X_pca", semantic_hops=1, progress=False)
    assert OUT not in adata.obsm


def test_averages_that_leave_nothing(embedded: AnnData):
    adata = embedded[:2].copy()
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix([[0.0, 1], [1, 0]])  # each has the mean of both
    with pytest.raises(ValueError, match=r"X_gene_semantics.*same for every spot.*gene_semantics"):
        scsemst.tl.modulate(adata, "X_pca", semantic_hops=1, progress=False)


def test_some_of_the_spots_are_explained_and_drawn(cortex: AnnData):
    adata = cortex[cortex.obsm["spatial"][:, 1] < np.median(cortex.obsm["spatial"][:, 1])].copy()
    scsemst.pp.gene_semantics(adata)
    scsemst.tl.semst(adata, 3, epochs=2, store_modulation=True, progress=False)
    scsemst.tl.semantic_drivers(adata, n_genes=20)
    some = adata[adata.obs["semst"] != "2"].copy()  # of other depth: the median of totals is another
    with pytest.warns(UserWarning, match=rf"adata has {some.n_obs} of the {adata.n_obs} spots of the run 'semst'"):
        scsemst.tl.semantic_drivers(some, n_genes=20)
    assert some.uns["semantic_drivers"]["domain"].nunique() == 2
    alpha = some.obsm.pop("semst_alpha")
    with pytest.warns(UserWarning, match="α and β are not those of the run.*store_modulation=True"):
        scsemst.pl.modulation(some, show=False)
    some.obsm["semst_alpha"] = alpha  # as stored, with β: nothing is computed
    scsemst.pl.modulation(some, show=False)


def test_half_precision_counts(modulated: AnnData):
    adata = modulated.copy()
    adata.X = adata.X.toarray().astype(np.float16)
    adata.obs["layer"] = adata.obs["ground_truth"]
    scsemst.tl.semantic_drivers(adata, "layer", modulation_key=OUT, n_genes=5)
    expected = scsemst.tl.semantic_drivers(modulated, "ground_truth", modulation_key=OUT, n_genes=5, copy=True)
    assert list(adata.uns["semantic_drivers"]["gene"]) == list(expected.uns["semantic_drivers"]["gene"])
    assert scsemst.pl.domain_genes(adata, "layer", n_genes=1, show=False)
