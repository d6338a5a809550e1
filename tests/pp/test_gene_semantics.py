from __future__ import annotations

import hashlib
import logging
import warnings
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
from anndata.experimental import read_lazy
from scipy import sparse

import scsemst
from scsemst.language import gene_vectors, load_genes

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

KEY = "X_gene_semantics"


@pytest.fixture(scope="module")
def slice_(cortex: AnnData) -> AnnData:
    """400 spots × 500 genes of the demo slice, with its result."""
    adata = cortex[:400, :500].copy()
    scsemst.pp.gene_semantics(adata)
    return adata


@pytest.fixture
def small(slice_: AnnData) -> AnnData:
    adata = slice_.copy()
    del adata.obsm[KEY], adata.uns[KEY]
    return adata


def test_equals_the_naive_dense_computation(slice_: AnnData):
    vectors, matched, _ = gene_vectors(slice_)
    x = slice_.X.toarray().astype(float)
    totals = x.sum(axis=1, keepdims=True)
    logs = np.log1p(np.median(totals) * x / totals)
    centred = (logs - logs.mean(axis=0))[:, matched]
    expected = centred @ vectors[matched] / np.sqrt((centred**2).sum(axis=1).mean())
    assert slice_.obsm[KEY].dtype == np.float32
    assert slice_.obsm[KEY].shape == (400, vectors.shape[1])
    np.testing.assert_allclose(slice_.obsm[KEY], expected, atol=2e-5)


def test_says_what_it_did(small: AnnData, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="scsemst"):
        assert scsemst.pp.gene_semantics(small, key_added="text", target_sum=1e4) is None
    report = small.uns["text"]
    assert report["model"] == "bundled"
    assert report["organism"] == "human"
    assert report["n_genes"] == 500
    assert 450 < report["n_genes_matched"] < 500
    assert 0.95 < report["share_of_counts"] < 1
    assert report["n_empty_spots"] == 0
    assert report["version"] == scsemst.__version__
    assert len(report["table_hash"]) == 16
    assert report["params"] == {"model": "bundled", "target_sum": 1e4, "template": "{symbol}: {name}. {go}"}
    assert f"{report['n_genes_matched']} of 500 genes" in caplog.text


def test_copy(small: AnnData, slice_: AnnData):
    result = scsemst.pp.gene_semantics(small, copy=True)
    assert KEY not in small.obsm
    assert KEY not in small.uns
    np.testing.assert_array_equal(result.obsm[KEY], slice_.obsm[KEY])


def digest(x: sparse.csr_matrix) -> str:
    return hashlib.sha256(x.data.tobytes() + x.indices.tobytes() + x.indptr.tobytes()).hexdigest()


@pytest.mark.parametrize("form", ["csc", "dense", "layer", "view", "backed csr", "backed csc", "backed dense", "lazy"])
def test_every_form_of_matrix_gives_the_same(form: str, small: AnnData, slice_: AnnData, tmp_path: Path):
    if form == "layer":
        small.layers["counts"] = small.X.copy()
        small.X = small.X * 0
        scsemst.pp.gene_semantics(small, layer="counts")
    elif form == "view":
        view = ad.concat([small, small[:10]], index_unique="-", uns_merge="first")[:400]
        before = digest(view.X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anndata says that writing to a view makes a copy
            scsemst.pp.gene_semantics(view)
        assert digest(view.X) == before
        small = view
    else:
        storage = form.split()[-1]
        if storage == "csc":
            small.X = small.X.tocsc()
        elif storage == "dense":
            small.X = small.X.toarray()
        if form in ("backed csr", "backed csc", "backed dense", "lazy"):
            path = tmp_path / "adata.h5ad"
            small.write_h5ad(path)
            before = path.read_bytes()
            small = read_lazy(path) if form == "lazy" else ad.read_h5ad(path, backed="r")
            scsemst.pp.gene_semantics(small)
            assert path.read_bytes() == before
        else:
            scsemst.pp.gene_semantics(small)
    np.testing.assert_allclose(np.asarray(small.obsm[KEY]), slice_.obsm[KEY], atol=1e-5)


def test_input_is_left_alone(small: AnnData):
    small.raw = small
    before = [digest(small.X), digest(small.raw.X), digest(small.obsp["spatial_connectivities"])]
    keys = (set(small.uns), set(small.obsm))
    scsemst.pp.gene_semantics(small)
    assert [digest(small.X), digest(small.raw.X), digest(small.obsp["spatial_connectivities"])] == before
    assert (set(small.uns) - {KEY}, set(small.obsm) - {KEY}) == keys


def test_write_and_read(slice_: AnnData, tmp_path: Path):
    slice_.write_h5ad(tmp_path / "adata.h5ad")
    read = ad.read_h5ad(tmp_path / "adata.h5ad")
    np.testing.assert_array_equal(read.obsm[KEY], slice_.obsm[KEY])
    assert read.uns[KEY]["params"] == slice_.uns[KEY]["params"]
    assert read.uns[KEY]["n_genes_matched"] == slice_.uns[KEY]["n_genes_matched"]


def test_ensembl_ids_and_mixed_names_give_the_same(small: AnnData, slice_: AnnData):
    genes = load_genes("human").drop_duplicates("symbol").set_index("symbol")["ensembl"].str.split("|").str[0]
    ids = [f"{genes[name]}.{i % 20}" if genes.get(name) else name for i, name in enumerate(small.var_names)]
    small.var["ids"] = ids
    scsemst.pp.gene_semantics(small, gene_symbols="ids")
    np.testing.assert_allclose(small.obsm[KEY], slice_.obsm[KEY], atol=1e-5)
    small.var_names = [name.lower() if i % 2 else name for i, name in enumerate(ids)]
    scsemst.pp.gene_semantics(small, organism="human")
    np.testing.assert_allclose(small.obsm[KEY], slice_.obsm[KEY], atol=1e-5)


def test_xenium_like_panel_reports_its_coverage(cortex: AnnData, caplog: pytest.LogCaptureFixture):
    """300 genes of a tissue, with control probes among them as instruments write them."""
    panel = cortex[:500, :300].copy()
    controls = [f"NegControlProbe_{i:05d}" for i in range(20)] + [f"BLANK_{i:04d}" for i in range(10)]
    panel.var_names = [*panel.var_names[:270], *controls]
    with caplog.at_level(logging.INFO, logger="scsemst"):
        scsemst.pp.gene_semantics(panel)
    report = panel.uns[KEY]
    assert report["n_genes"] == 300
    assert 240 < report["n_genes_matched"] <= 270
    assert 0.7 < report["share_of_counts"] < 1
    assert "of 300 genes" in caplog.text


def test_mouse_whole_transcriptome_reports_its_coverage(cortex: AnnData):
    """Counts of real spots under the names of a mouse transcriptome: coding genes, and clones that have no row."""
    rng = np.random.default_rng(0)
    names = load_genes("mouse")["symbol"].tolist()[::8][:2400] + [f"Gm{90_000 + i}" for i in range(600)]
    mouse = cortex[:200].copy()
    mouse.var_names = rng.permutation(names)
    scsemst.pp.gene_semantics(mouse)
    assert mouse.uns[KEY]["organism"] == "mouse"
    assert mouse.uns[KEY]["n_genes_matched"] == 2400


def test_empty_spots_have_the_zero_vector(small: AnnData, caplog: pytest.LogCaptureFixture):
    x = small.X.tolil()
    x[[3, 5]] = 0
    small.X = sparse.csr_matrix(x)
    scsemst.pp.gene_semantics(small)
    assert "2 spots have no counts" in caplog.text
    assert not small.obsm[KEY][[3, 5]].any()
    assert np.isfinite(small.obsm[KEY]).all()
    assert small.uns[KEY]["n_empty_spots"] == 2


def rename(adata: AnnData, share: float) -> AnnData:
    """Hide genes until about `share` of the counts keep a known name."""
    counts = np.asarray(adata.X.sum(axis=0)).ravel()
    kept = np.zeros(adata.n_vars, dtype=bool)
    order = np.random.default_rng(0).permutation(adata.n_vars)
    kept[order[np.cumsum(counts[order]) <= share * counts.sum()]] = True
    adata.var_names = [
        name if keep else f"UNKNOWN{i}" for i, (name, keep) in enumerate(zip(adata.var_names, kept, strict=True))
    ]
    return adata


def test_low_coverage_warns_then_raises(small: AnnData):
    with pytest.warns(UserWarning, match=r"found for only .* of the counts"):
        scsemst.pp.gene_semantics(rename(small.copy(), 0.5))
    few = rename(small.copy(), 0.05)
    with pytest.raises(ValueError, match=r"too few.*organism: human"):
        scsemst.pp.gene_semantics(few)
    assert KEY not in few.obsm
    assert KEY not in few.uns


def test_bad_input_leaves_adata_as_it_was(small: AnnData):
    def fails(error: type[Exception], message: str, **kwargs: object) -> None:
        before = (set(small.obsm), set(small.uns))
        with pytest.raises(error, match=message):
            scsemst.pp.gene_semantics(small, **kwargs)
        assert (set(small.obsm), set(small.uns)) == before

    fails(KeyError, "counts", layer="counts")
    fails(KeyError, "symbols", gene_symbols="symbols")
    fails(ValueError, "organism='rat'", organism="rat")
    fails(TypeError, "poling", poling="mean")
    names = small.var_names
    small.var_names = [f"gene_{i}" for i in range(small.n_vars)]
    fails(ValueError, "organism=")
    fails(ValueError, "None of the 500 genes was found", organism="human")
    small.var_names = [names[0], *names[:-1]]
    fails(ValueError, "var_names_make_unique")
    small.var_names = names
    x = small.X
    small.X = x.copy()
    small.X.data[3] = -1
    fails(ValueError, r"adata\.X has negative values")
    small.X = x.copy()
    small.X.data[3] = np.nan
    fails(ValueError, r"adata\.X has 1 NaN")
    small.X = x * 0
    fails(ValueError, "no counts")


def test_precomputed_table_and_encoder(small: AnnData, minilm: Path):
    panel = small[:, :40].copy()
    vectors, matched, _ = gene_vectors(panel)
    table = dict(zip(panel.var_names[matched], vectors[matched], strict=True))
    scsemst.pp.gene_semantics(panel, model=table, key_added="table")
    assert panel.uns["table"]["model"] == "table"
    assert panel.uns["table"]["n_genes_matched"] == matched.sum()
    scsemst.pp.gene_semantics(panel, model=minilm, key_added="minilm", cache=False)
    assert panel.obsm["minilm"].shape == (panel.n_obs, 384)
    assert panel.uns["minilm"]["organism"] == "human"
    # The bundled table is MiniLM's, cut: spots resemble each other in the same way.
    upper = np.triu_indices(panel.n_obs, 1)
    scsemst.pp.gene_semantics(panel)
    mine, theirs = (np.corrcoef(panel.obsm[key])[upper] for key in (KEY, "minilm"))
    assert np.corrcoef(mine, theirs)[0, 1] > 0.8
