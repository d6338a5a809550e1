"""`tl.semst` on several slices at once, and what their models do with others."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import squidpy as sq
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

import scsemst

if TYPE_CHECKING:
    from anndata import AnnData

OPTIONS = {"n_domains": 3, "n_top_genes": 400, "epochs": 3, "progress": False, "copy": True}
LATENT = {**OPTIONS, "n_domains": None}


@pytest.fixture(scope="module")
def pair(cortex: AnnData) -> AnnData:
    """Every second row of the tissue as a slice of its own; in one of them some genes are measured far too often."""
    part = cortex[:, :700]
    rank = np.argsort(np.argsort(part.obsm["spatial"][:, 1], kind="stable"))
    rng = np.random.default_rng(0)
    slices = {}
    for i, name in enumerate(("even", "odd")):
        spots = np.flatnonzero((rank // 60) % 2 == i)[::4]
        slices[name] = part[spots].copy()
        sc.pp.filter_cells(slices[name], min_counts=1)
    counts = slices["odd"].X.toarray()
    counts[:, rng.choice(700, 100, replace=False)] *= 4
    slices["odd"].X = sparse.csr_matrix(counts)
    adata = ad.concat(slices, label="slice", index_unique="-")
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6, library_key="slice")
    scsemst.pp.gene_semantics(adata)
    return adata


@pytest.fixture(scope="module")
def joint(pair: AnnData) -> AnnData:
    return scsemst.tl.semst(pair, batch_key="slice", **OPTIONS)


@pytest.fixture(scope="module")
def model(pair: AnnData) -> scsemst.SemST:
    options = {name: value for name, value in OPTIONS.items() if name != "copy"}
    return scsemst.SemST.from_adata(pair.copy(), batch_key="slice", **options)


def mixing(adata: AnnData) -> float:
    """Share of the 60 nearest spots in the latent space that are of another slice."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=61).fit(adata.obsm["X_semst"]).kneighbors(return_distance=False)[:, 1:]
    codes = adata.obs["slice"].astype("category").cat.codes.to_numpy()
    return float((codes[found] != codes[:, None]).mean())


def test_slices_share_domains_and_latent_space(pair: AnnData, joint: AnnData, tmp_path):
    apart = scsemst.tl.semst(pair, **LATENT)
    assert mixing(joint) > mixing(apart) + 0.1
    domains = pd.crosstab(joint.obs["slice"], joint.obs["semst"])
    assert (domains > 0).all(axis=None), "both slices have all domains"
    record = joint.uns["semst"]
    assert record["params"]["batch_key"] == "slice"
    assert list(record["batches"]["names"]) == ["even", "odd"]
    assert record["batches"]["n_spots"].tolist() == pair.obs["slice"].value_counts()[["even", "odd"]].tolist()
    assert record["batches"]["share_of_edges_between"] == 0
    joint.write_h5ad(tmp_path / "joint.h5ad")
    assert sc.read_h5ad(tmp_path / "joint.h5ad").uns["semst"]["params"]["batch_key"] == "slice"


def test_same_seed_same_bits_in_any_storage(pair: AnnData, joint: AnnData):
    again = pair.copy()
    again.obs["slice"] = again.obs["slice"].astype(str).map({"even": 1, "odd": 2})  # numbers are names, too
    result = scsemst.tl.semst(again, batch_key="slice", **LATENT)
    np.testing.assert_array_equal(result.obsm["X_semst"], joint.obsm["X_semst"])


def test_order_of_spots_does_not_matter(pair: AnnData, joint: AnnData):
    order = np.random.default_rng(0).permutation(pair.n_obs)
    mixed = scsemst.tl.semst(pair[order].copy(), batch_key="slice", **OPTIONS)
    score = adjusted_rand_score(joint.obs["semst"].iloc[order], mixed.obs["semst"])
    assert score > 0.9


@pytest.mark.parametrize(
    "options", [{"likelihood": "nb"}, {"likelihood": "gaussian"}, {"preset": "paper", "epochs": 4}]
)
def test_likelihoods_and_presets(pair: AnnData, options: dict):
    result = scsemst.tl.semst(pair, batch_key="slice", **{**LATENT, "epochs": 10, **options})
    loss = result.uns["semst"]["history"]["loss"]
    assert loss[-1] < loss[0]
    assert np.isfinite(result.obsm["X_semst"]).all()


def test_parts_of_the_tissue(pair: AnnData, joint: AnnData):
    parts = scsemst.tl.semst(pair, batch_key="slice", batch_size=300, **OPTIONS)
    assert parts.uns["semst"]["params"]["batch_size"] == 300
    assert mixing(parts) > mixing(joint) - 0.1
    assert adjusted_rand_score(joint.obs["semst"], parts.obs["semst"]) > 0.5


def test_start_of_many_spots_is_centred_slice_by_slice(pair: AnnData, monkeypatch: pytest.MonkeyPatch):
    from scsemst.graphs import spatial_graph
    from scsemst.training import start
    from scsemst.training.components import averaging_operator
    from scsemst.training.expression import read_expression
    from scsemst.training.slices import read_slices

    slices = read_slices(pair, "slice")
    expression = read_expression(pair, layer=None, n_top_genes=100, likelihood="zinb", slices=slices)
    call = {"gene_mixing": None, "slices": slices}
    _, whole = start.start_components(expression, spatial_graph(pair), 5, rng=np.random.default_rng(0), **call)
    monkeypatch.setattr(start, "_MAX_SPOTS", 200)
    _, part = start.start_components(expression, spatial_graph(pair), 5, rng=np.random.default_rng(0), **call)
    np.testing.assert_allclose(part, whole, atol=1e-5)

    monkeypatch.setattr(start, "_BLOCK", 64)  # spots are read block by block
    average = averaging_operator(spatial_graph(pair))
    smoothed = average @ (average @ expression.rows(np.arange(pair.n_obs))[0])
    expected = [np.asarray(smoothed[slices.codes == i].mean(axis=0)).ravel() for i in range(slices.n)]
    mixing_of_genes = sparse.random(100, 100, density=0.2, format="csr", random_state=0)
    for mix in (None, mixing_of_genes):
        found = start._means(expression, average, slices, mix)
        np.testing.assert_allclose(found, expected if mix is None else expected @ mix, atol=1e-4)


def test_edges_between_slices_are_counted(pair: AnnData, caplog):
    adata = pair.copy()
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    with caplog.at_level(logging.WARNING, logger="scsemst"):
        result = scsemst.tl.semst(adata, batch_key="slice", **LATENT)
    share = result.uns["semst"]["batches"]["share_of_edges_between"]
    assert 0 < share < 1
    assert f"{100 * share:.3g} % of the edges" in caplog.text
    assert "library_key='slice'" in caplog.text


def test_a_stack_in_three_dimensions(pair: AnnData):
    adata = pair.copy()
    height = 100.0 * (adata.obs["slice"] == "odd").to_numpy()
    adata.obsm["spatial"] = np.column_stack([adata.obsm["spatial"], height])
    sq.gr.spatial_neighbors_knn(adata, n_neighs=8)
    result = scsemst.tl.semst(adata, batch_key="slice", **LATENT)
    assert result.uns["semst"]["batches"]["share_of_edges_between"] > 0
    assert np.isfinite(result.obsm["X_semst"]).all()


def test_harmony(pair: AnnData, joint: AnnData, monkeypatch: pytest.MonkeyPatch):
    call = {"batch_key": "slice", "integrate": "harmony", **LATENT}
    first, second = scsemst.tl.semst(pair, **call), scsemst.tl.semst(pair, **call)
    np.testing.assert_array_equal(first.obsm["X_semst"], second.obsm["X_semst"])
    assert mixing(first) > mixing(joint)
    assert first.uns["semst"]["params"]["integrate"] == "harmony"
    with pytest.raises(ValueError, match="no model can be"):
        scsemst.SemST.from_adata(pair.copy(), 4, batch_key="slice", integrate="harmony")
    with pytest.raises(ValueError, match="batch_key="):
        scsemst.tl.semst(pair, **{**call, "batch_key": None})
    with pytest.raises(ValueError, match="'harmony'"):
        scsemst.tl.semst(pair, **{**call, "integrate": "magic"})
    monkeypatch.setitem(sys.modules, "harmonypy", None)
    with pytest.raises(ImportError, match=r"pip install scsemst\[harmony\]"):
        scsemst.tl.semst(pair, **call)


def test_modulation_is_drawn_and_explained(pair: AnnData):
    result = scsemst.tl.semst(pair, batch_key="slice", store_modulation=True, **{**OPTIONS, "epochs": 8})
    alpha = result.obsm.pop("semst_alpha")
    ax, _ = scsemst.pl.modulation(result, dims=[1], show=False)
    np.testing.assert_allclose(ax.collections[0].get_array(), alpha[:, 1], atol=1e-3 * np.abs(alpha[:, 1]).max())
    scsemst.tl.semantic_drivers(result, n_genes=2)
    assert result.uns["semantic_drivers"].shape[0] == 6
    result.obs["slice"] = result.obs["slice"].cat.rename_categories({"odd": "other"})
    with pytest.raises(ValueError, match=r"obs\['slice'\].*'other'"):
        scsemst.tl.semantic_drivers(result)


def test_a_model_reads_its_own_slices_as_in_training(pair: AnnData, joint: AnnData, model: scsemst.SemST, tmp_path):
    model.save(tmp_path / "model")
    loaded = scsemst.SemST.load(tmp_path / "model")
    result = scsemst.tl.predict(pair, loaded, copy=True)
    np.testing.assert_allclose(result.obsm["X_semst"], joint.obsm["X_semst"], atol=1e-4)
    assert (result.obs["semst"].astype(str) == joint.obs["semst"].astype(str)).mean() > 0.98


def test_a_model_centres_slices_that_it_does_not_know(pair: AnnData, joint: AnnData, model: scsemst.SemST):
    odd = pair[pair.obs["slice"] == "odd"].copy()
    expected = joint.obs["semst"][joint.obs["slice"] == "odd"]
    named = scsemst.tl.predict(odd, model, copy=True).obs["semst"]
    assert adjusted_rand_score(expected, named) > 0.9
    del odd.obs["slice"]
    unnamed = scsemst.tl.predict(odd, model, copy=True).obs["semst"]
    assert adjusted_rand_score(expected, unnamed) > 0.8
    # A slice of a third kind: other genes are measured too often
    counts = odd.X.toarray()
    counts[:, ::9] *= 4
    odd.X = sparse.csr_matrix(counts)
    odd.obs["slice"] = "third"
    scsemst.pp.gene_semantics(odd)
    latent = joint.obsm["X_semst"][joint.obs["slice"] == "odd"]
    third = scsemst.tl.predict(odd, model, copy=True).obsm["X_semst"]
    odd.obs["slice"] = "odd"
    wrong = scsemst.tl.predict(odd, model, copy=True).obsm["X_semst"]
    assert np.linalg.norm(third - latent) < 0.7 * np.linalg.norm(wrong - latent)


def test_missing_genes_and_other_panels(pair: AnnData, joint: AnnData, model: scsemst.SemST):
    kept = pair[:, np.random.default_rng(0).random(pair.n_vars) < 0.8].copy()
    result = scsemst.tl.predict(kept, model, copy=True)
    assert result.uns["semst"]["n_genes_missing"] > 0
    assert adjusted_rand_score(joint.obs["semst"], result.obs["semst"]) > 0.6
    through = scsemst.tl.predict(pair, model, through="semantics", copy=True)
    assert adjusted_rand_score(joint.obs["semst"], through.obs["semst"]) > 0.3


def corrupt(adata: AnnData, fault: str) -> dict[str, object]:
    """Damage the slices; return the options of the call."""
    first = adata.obs_names[0]
    if fault == "NaN":
        adata.obs["slice"] = adata.obs["slice"].astype(object)
        adata.obs.loc[first, "slice"] = np.nan
    elif fault == "one slice":
        adata.obs["slice"] = "all"
    elif fault == "one spot":
        adata.obs["slice"] = adata.obs["slice"].astype(object)
        adata.obs.loc[first, "slice"] = "alone"
    elif fault == "no shared genes":  # as anndata.concat(join="outer") leaves two panels
        x = adata.X.tolil()
        even = (adata.obs["slice"] == "even").to_numpy()
        x[np.ix_(even, np.arange(350))] = 0
        x[np.ix_(~even, np.arange(350, 700))] = 0
        adata.X = x.tocsr()
    return {"missing key": {"batch_key": "section"}}.get(fault, {})


BAD = [
    ("missing key", KeyError, r"obs\['section'\].*available: .*'slice'"),
    ("NaN", ValueError, r"obs\['slice'\] is NaN for 1 of"),
    ("one slice", ValueError, r"one slice only \('all'\).*batch_key="),
    ("one spot", ValueError, r"single spot \('alone'\)"),
    ("no shared genes", ValueError, r"share no gene.*'even' 3\d\d, 'odd' 3\d\d.*var_names"),
]


@pytest.mark.parametrize(("fault", "error", "message"), BAD, ids=[case[0] for case in BAD])
def test_bad_input_is_named_and_leaves_no_trace(pair: AnnData, fault: str, error: type, message: str):
    adata = pair.copy()
    options = {"batch_key": "slice", **corrupt(adata, fault)}
    keys = {name: set(getattr(adata, name).keys()) for name in ("obs", "obsm", "uns", "obsp", "varm")}
    with pytest.raises(error, match=message):
        scsemst.tl.semst(adata, **{**OPTIONS, "copy": False, **options})
    assert keys == {name: set(getattr(adata, name).keys()) for name in keys}


def test_genes_of_one_slice_only_are_left_out(pair: AnnData):
    from scsemst.training.expression import read_expression
    from scsemst.training.slices import read_slices
    from scsemst.training.variable_genes import variable_genes

    adata = pair.copy()
    x = adata.X.tolil()
    x[np.ix_(np.flatnonzero(adata.obs["slice"] == "even"), np.arange(0, 700, 2))] = 0
    adata.X = x.tocsr()
    slices = read_slices(adata, "slice")
    expression = read_expression(adata, layer=None, n_top_genes=700, likelihood="zinb", slices=slices)
    assert expression.genes.size > 300
    assert not (expression.genes % 2 == 0).any()
    for counts in ("zinb", "gaussian"):
        whole = read_expression(adata, layer=None, n_top_genes=700, likelihood=counts)
        found = np.ones((slices.n, whole.genes.size), dtype=bool)
        assert variable_genes(whole, 50, adata.var_names, found, slices).size == 50


def test_harmony_of_few_spots(pair: AnnData):
    few = pair[np.r_[:4, -4:0]].copy()
    for key in list(few.obsp):
        dense = few.obsp[key].toarray()
        dense[0, 1] = dense[-1, -2] = 1
        few.obsp[key] = sparse.csr_matrix(dense)
    scsemst.tl.semst(few, batch_key="slice", integrate="harmony", semantics_key=None, epochs=1, progress=False)
    assert np.isfinite(few.obsm["X_semst"]).all()
