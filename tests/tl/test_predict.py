"""`tl.predict`: the same slice gives the same domains, another one is read alike, bad input is named."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
import squidpy as sq
from sklearn.metrics import adjusted_rand_score

import scsemst

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst import SemST


@pytest.fixture(scope="module")
def halves(cortex: AnnData) -> tuple[AnnData, AnnData]:
    """Every second row of spots: two slices of the same tissue that share no spot."""
    order = np.argsort(cortex.obsm["spatial"][:, 1], kind="stable")
    rank = np.empty(cortex.n_obs, dtype=int)
    rank[order] = np.arange(cortex.n_obs)
    parts = []
    for half in (0, 1):
        part = cortex[(rank // 60) % 2 == half].copy()
        sq.gr.spatial_neighbors_knn(part, n_neighs=6)
        scsemst.pp.gene_semantics(part)
        parts.append(part)
    return tuple(parts)


@pytest.fixture(scope="module")
def model(halves) -> SemST:
    return scsemst.SemST.from_adata(halves[0], 7, progress=False)


def predict(adata: AnnData, model: SemST, **options) -> AnnData:
    return scsemst.tl.predict(adata, model, **{"key_added": "p", "copy": True, **options})


def test_the_training_slice_keeps_its_domains(halves, model: SemST):
    result = predict(halves[0], model)
    assert (result.obs["p"].astype(str) == halves[0].obs["semst"].astype(str)).mean() >= 0.99
    np.testing.assert_allclose(result.obsm["X_p"], halves[0].obsm["X_semst"], atol=1e-4)
    assert result.uns["p"]["through"] == "genes"
    assert result.uns["p"]["n_genes_missing"] == 0


def test_unseen_spots_get_the_layers_of_their_neighbours(halves, model: SemST):
    from sklearn.neighbors import KNeighborsClassifier

    seen, unseen = halves
    result = predict(unseen, model)
    nearest = KNeighborsClassifier(5).fit(seen.obsm["spatial"], seen.obs["semst"].astype(str))
    expected = nearest.predict(unseen.obsm["spatial"])
    assert adjusted_rand_score(expected, result.obs["p"]) > 0.5
    probability = result.obs["p_probability"]
    assert probability.between(1 / 7, 1).all()
    assert result.obs["p"].cat.categories.tolist() == [str(i) for i in range(7)]


def test_missing_genes_are_reported_and_hardly_matter(halves, model: SemST, caplog):
    whole = predict(halves[1], model).obs["p"]
    kept = halves[1][:, np.random.default_rng(0).random(halves[1].n_vars) < 0.8].copy()
    with caplog.at_level(logging.WARNING, logger="scsemst"):
        result = predict(kept, model)
    report = result.uns["p"]
    assert report["n_genes_missing"] == 3000 - kept.n_vars
    assert report["share_of_genes"] == pytest.approx(kept.n_vars / 3000)
    assert f"{3000 - kept.n_vars} of the model's 3000 genes" in caplog.text
    assert adjusted_rand_score(whole, result.obs["p"]) > 0.5


def test_semantics_are_made_if_they_are_missing(halves, model: SemST):
    plain = halves[1].copy()
    del plain.obsm["X_gene_semantics"], plain.varm["X_gene_semantics"], plain.uns["X_gene_semantics"]
    result = predict(plain, model)
    np.testing.assert_allclose(result.obsm["X_p"], predict(halves[1], model).obsm["X_p"], atol=1e-5)
    assert "X_gene_semantics" not in result.obsm


def test_another_panel_goes_through_semantics(halves, model: SemST):
    """Two panels that share no gene: only the meaning of genes connects them."""
    panel = np.random.default_rng(0).permutation(halves[0].n_vars)
    first = halves[0][:, panel[:1500]].copy()
    second = halves[1][:, panel[1500:]].copy()
    for part in (first, second):
        scsemst.pp.gene_semantics(part)
    half_model = scsemst.SemST.from_adata(first, 7, epochs=3, progress=False)
    result = predict(second, half_model)
    assert result.uns["p"]["through"] == "semantics"
    assert result.obsm["X_p"].shape == (second.n_obs, second.varm["X_gene_semantics"].shape[1])
    reference = predict(halves[1], model).obs["p"]
    score = adjusted_rand_score(reference, result.obs["p"])
    spots = np.random.default_rng(0).permutation(second.n_obs)
    assert score > 0.15 > adjusted_rand_score(reference.to_numpy()[spots], result.obs["p"])


def test_writes_in_place_and_to_disk(halves, model: SemST, tmp_path):
    import anndata as ad

    adata = halves[1].copy()
    assert scsemst.tl.predict(adata, model, key_added="p") is None
    adata.write_h5ad(tmp_path / "p.h5ad")
    back = ad.read_h5ad(tmp_path / "p.h5ad")
    assert back.uns["p"]["model"]["versions"]["scsemst"] == scsemst.__version__
    assert back.uns["p"]["model"]["params"]["rng"] == 0
    assert back.obs["p"].tolist() == adata.obs["p"].tolist()


def spoil(adata: AnnData, fault: str) -> dict:
    if fault.startswith("no shared genes"):
        adata.var_names = [f"unknown{i}" for i in range(adata.n_vars)]
        del adata.varm["X_gene_semantics"]
        return {"through": fault.partition(", ")[2]}
    elif fault == "too few genes":
        adata._inplace_subset_var(np.arange(300))
        return {"through": "genes"}
    elif fault == "semantics of another dimension":
        adata.obsm["X_gene_semantics"] = adata.obsm["X_gene_semantics"][:, :50]
    elif fault == "other semantics":
        adata.uns["X_gene_semantics"] = {**adata.uns["X_gene_semantics"], "model": "table"}
    elif fault == "no graph":
        del adata.obsp["spatial_connectivities"]
    elif fault == "negative counts":
        adata.X.data[0] = -1
    elif fault == "normalised":
        adata.X = adata.X.log1p()
    return {"unknown way": {"through": "magic"}, "share": {"min_share": 0}, "layer": {"layer": "counts"}}.get(fault, {})


BAD = [
    ("no shared genes, auto", ValueError, "unknown0"),
    ("no shared genes, genes", ValueError, "none of the model's 3000 genes.*unknown0"),
    ("no shared genes, semantics", ValueError, "unknown0"),
    ("too few genes", ValueError, r"300 of the model's 3000 genes \(10%\).*through=\"semantics\""),
    ("semantics of another dimension", ValueError, r"X_gene_semantics.*dimension 50.*trained with.*dimension 120"),
    ("other semantics", ValueError, "model='table'.*model='bundled'"),
    ("no graph", KeyError, r"squidpy\.gr\.spatial_neighbors_knn"),
    ("negative counts", ValueError, "negative"),
    ("normalised", ValueError, "not counts"),
    ("unknown way", ValueError, "'semantics'"),
    ("share", ValueError, "min_share"),
    ("layer", KeyError, "counts"),
]


@pytest.mark.parametrize(("fault", "error", "message"), BAD, ids=[case[0] for case in BAD])
def test_bad_input_is_named_and_leaves_no_trace(halves, model: SemST, fault: str, error: type, message: str):
    adata = halves[1].copy()
    options = spoil(adata, fault)
    before = {name: set(getattr(adata, name).keys()) for name in ("obs", "obsm", "uns")}
    with pytest.raises(error, match=message):
        scsemst.tl.predict(adata, model, key_added="p", **options)
    assert before == {name: set(getattr(adata, name).keys()) for name in before}


def test_model_must_be_a_model(halves):
    with pytest.raises(TypeError, match=r"scsemst\.SemST\.load"):
        scsemst.tl.predict(halves[1], "folder")


def test_spots_without_common_genes_go_by_meaning(halves, model: SemST, caplog: pytest.LogCaptureFixture):
    """`"auto"` falls back before it asks for counts of the few genes that both slices have."""
    part = halves[1].copy()
    rare = set(part.var_names[np.argsort(np.asarray(part.X.sum(axis=0)).ravel(), kind="stable")[:10]])
    # Names of another case mean the same, but are not those that the model was trained on
    part.var_names = [name if name in rare else name.lower() for name in part.var_names]
    with caplog.at_level("WARNING", logger="scsemst"):
        result = predict(part, model)
    assert result.uns["p"]["through"] == "semantics"
    assert "domains go by the meaning of genes" in caplog.text
    with pytest.raises(ValueError, match=r"spots have no counts of the 10 genes that adata shares"):
        predict(part, model, through="genes", min_share=1e-6)
