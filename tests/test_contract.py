"""Any valid AnnData: a valid result or a documented error, and nothing else changed."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy import sparse

import scsemst
from scsemst import pl, pp, tl

from .conftest import model_folder
from .slices import analysed, snapshot, sorted_graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

# Few examples, always the same, unless a number is asked for: SCSEMST_CONTRACT_EXAMPLES=500 pytest tests/test_contract.py
N_EXAMPLES = int(os.environ.get("SCSEMST_CONTRACT_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=N_EXAMPLES or 6,
    derandomize=not N_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # to shrink what fails would take minutes
)

MATRICES = ["csr", "csc", "csr_array", "dense", "fortran", "dask", "dask sparse", "unsorted", "split", "zeros"]
DTYPES = [np.float32, np.float64, np.int32, np.int64, np.uint16]
INDEXES = ["object", "string", "categorical", "numbers"]

shapes = st.fixed_dictionaries(
    {
        "n_obs": st.integers(60, 118),
        "n_vars": st.integers(40, 148),
        "matrix": st.sampled_from(MATRICES),
        "dtype": st.sampled_from(DTYPES),
        "index": st.sampled_from(INDEXES),
        "seed": st.integers(0, 2**16),
        "view": st.booleans(),
        "layer": st.booleans(),
        "three": st.booleans(),
        "repeated": st.booleans(),
        "image": st.booleans(),
        "nullable": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def prepared() -> AnnData:
    return analysed()


def build(prepared: AnnData, shape: dict[str, Any]) -> AnnData:
    """Take a random part of a prepared slice, in random order, and store it in one of the ways that AnnData has."""
    rng = np.random.default_rng(shape["seed"])
    spots = rng.permutation(prepared.n_obs)[: shape["n_obs"]]
    genes = rng.permutation(prepared.n_vars)[: shape["n_vars"]]
    adata = prepared[spots, genes].copy()
    adata.X = _stored(adata.X, shape["matrix"], shape["dtype"])
    if shape["layer"]:
        adata.layers["counts"] = adata.X
        adata.X = adata.layers["counts"].astype(np.float64) * 0.5
    else:
        del adata.layers["counts"]
    if shape["three"]:
        adata.obsm["spatial"] = np.c_[adata.obsm["spatial"], np.zeros(adata.n_obs)]
    if shape["repeated"]:
        adata.obsm["spatial"][5:9] = adata.obsm["spatial"][4]
    if shape["image"]:
        scale = {"tissue_hires_scalef": 0.01, "spot_diameter_fullres": 80.0}
        adata.uns["spatial"] = {"one": {"images": {"hires": np.zeros((9, 9, 3))}, "scalefactors": scale}}
    if shape["nullable"]:
        adata.obs["semst"] = adata.obs["semst"].astype(str).astype(pd.StringDtype())
        adata.obs.loc[adata.obs_names[3], "semst"] = pd.NA
        adata.obs["n"] = pd.array(range(adata.n_obs), dtype="Int64")
    adata.obs.index = _index(adata.obs_names, shape["index"])
    for key in adata.obsp:
        adata.obsp[key].sort_indices()
    return adata[:, ::-1][::-1] if shape["view"] else adata


def _stored(x: sparse.csr_matrix, kind: str, dtype: type) -> Any:
    x = sparse.csr_matrix(x, dtype=dtype)
    if "dask" in kind:
        import dask.array as da

        rows = da.from_array(x.toarray(), chunks=(37, -1))
        return rows.map_blocks(sparse.csr_matrix) if "sparse" in kind else rows.rechunk((37, 50))
    if kind == "unsorted":
        x.indices, x.data = x.indices.copy(), x.data.copy()
        for start, stop in zip(x.indptr[:-1], x.indptr[1:], strict=True):
            x.indices[start:stop], x.data[start:stop] = x.indices[start:stop][::-1], x.data[start:stop][::-1]
        x.has_sorted_indices = False
        return x
    if kind == "split":  # each value as the sum of two entries
        data = np.stack([x.data - 1, np.ones_like(x.data)], axis=1).ravel()
        return sparse.csr_matrix((data, np.repeat(x.indices, 2), 2 * x.indptr), shape=x.shape)
    if kind == "zeros":  # stored like other values
        n_obs, n_vars = x.shape
        indices, indptr = np.tile(np.arange(n_vars), n_obs), np.arange(0, x.shape[0] * n_vars + 1, n_vars)
        return sparse.csr_matrix((x.toarray().ravel(), indices, indptr), shape=x.shape)
    return {
        "csr": lambda: x,
        "csc": x.tocsc,
        "csr_array": lambda: sparse.csr_array(x),
        "dense": x.toarray,
        "fortran": lambda: np.asfortranarray(x.toarray()),
    }[kind]()


def _index(names: pd.Index, kind: str) -> pd.Index:
    if kind == "categorical":
        return pd.CategoricalIndex(names)
    if kind == "numbers":
        return pd.Index([str(i) for i in range(len(names))], dtype=object)
    return names.astype("string" if kind == "string" else object)


def _category(adata: AnnData, key: str, n_domains: int | None = None) -> None:
    labels = adata.obs[key]
    assert isinstance(labels.dtype, pd.CategoricalDtype)
    assert labels.index.equals(adata.obs_names)
    if n_domains is not None:
        assert labels.notna().all()
        assert labels.nunique() == n_domains


def _matrix(adata: AnnData, key: str, dtype: type = np.float32) -> None:
    z = adata.obsm[key]
    assert isinstance(z, np.ndarray)
    assert z.dtype == dtype
    assert z.ndim == 2
    assert len(z) == adata.n_obs
    assert np.isfinite(z).all()


def check_semst(a: AnnData) -> None:
    _category(a, "new", 3)
    _matrix(a, "X_new")


def check_modulate(a: AnnData) -> None:
    for key in ("new", "new_alpha", "new_beta"):
        _matrix(a, key)
        assert a.obsm[key].shape == a.obsm["X_semst"].shape


def check_semantics(a: AnnData) -> None:
    _matrix(a, "new")
    assert a.varm["new"].shape == (a.n_vars, a.obsm["new"].shape[1])
    assert np.isfinite(a.varm["new"]).all()


def check_drivers(a: AnnData) -> None:
    assert a.uns["new"].notna().all().all()


QUICK = {"progress": False, "copy": True, "key_added": "new"}
WRITERS: dict[str, tuple[Callable[..., AnnData], Callable[[AnnData], None]]] = {
    "pp.gene_semantics": (lambda a, layer: pp.gene_semantics(a, layer=layer, copy=True, key_added="new"), check_semantics),
    "tl.semst": (lambda a, layer: tl.semst(a, 3, layer=layer, epochs=1, **QUICK), check_semst),
    "tl.semst in parts": (lambda a, layer: tl.semst(a, 3, layer=layer, epochs=1, batch_size=40, **QUICK), check_semst),
    "tl.semst, paper": (lambda a, layer: tl.semst(a, 3, layer=layer, epochs=1, preset="paper", **QUICK), check_semst),
    "tl.modulate": (lambda a, layer: tl.modulate(a, "X_semst", layer=layer, epochs=1, **QUICK), check_modulate),
    "tl.domains": (lambda a, layer: tl.domains(a, 3, n_init=3, copy=True, key_added="new"), lambda a: _category(a, "new", 3)),
    "tl.leiden_domains": (lambda a, layer: tl.leiden_domains(a, 3, copy=True, key_added="new"), lambda a: _category(a, "new", 3)),
    "tl.refine": (lambda a, layer: tl.refine(a, copy=True, key_added="new"), lambda a: _category(a, "new")),
    "tl.semantic_drivers": (lambda a, layer: tl.semantic_drivers(a, modulation_key="X_semst_semst", n_genes=5, copy=True, key_added="new"), check_drivers),
    "tl.predict": (lambda a, layer: tl.predict(a, _model(), layer=layer, through="auto", copy=True, key_added="new"), lambda a: (_category(a, "new"), _matrix(a, "X_new"))),
}  # fmt: skip
PLOTS: dict[str, Callable[[AnnData], Any]] = {
    "pl.domains": lambda a: pl.domains(a, show=False),
    "pl.semantics": lambda a: pl.semantics(a, show=False),
    "pl.domain_genes": lambda a: pl.domain_genes(a, n_genes=1, show=False),
    "pl.abundance": lambda a: pl.abundance(a, "ground_truth", show=False),
    "pl.modulation": lambda a: pl.modulation(a, "X_semst_semst", dims=1, show=False),
    "pl.n_domains": lambda a: pl.n_domains(a, show=False),
    "pl.training": lambda a: pl.training(a, show=False),
}

# Valid AnnData objects that a function cannot give a result for, and what it then says
DOCUMENTED = {
    "tl.semantic_drivers": "is not what the expression and the gene vectors|genes, spots or counts have changed",
    "tl.predict": "genes|no counts of",
}
EMPTY = "empty spots|no edges between|spots are empty|has no counts"
_MODEL: list[scsemst.SemST] = []


def _model() -> scsemst.SemST:
    if not _MODEL:
        from .slices import corner

        _MODEL.append(scsemst.SemST.from_adata(corner(), 3, epochs=1, progress=False))
    return _MODEL[0]


@pytest.mark.parametrize("name", WRITERS)
@PROFILE
@given(shape=shapes)
def test_writers(prepared: AnnData, name: str, shape: dict[str, Any]):
    call, check = WRITERS[name]
    adata = build(prepared, shape)
    before = snapshot(adata)
    result = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call(adata, "counts" if shape["layer"] else None)
        except (KeyError, TypeError, ValueError) as error:
            documented = f"{EMPTY}|{DOCUMENTED[name]}" if name in DOCUMENTED else EMPTY
            assert pd.Series([str(error)]).str.contains(documented)[0], error
    assert snapshot(adata) == before, "the input is as it was, whether the call worked or failed"
    if result is not None:
        check(result)
        after = snapshot(sorted_graphs(result) if shape["view"] else result)
        assert {key: after.get(key) for key in before if "keys" not in key} == {
            key: digest for key, digest in before.items() if "keys" not in key
        }, "what was there is in the result"


@pytest.mark.parametrize("name", PLOTS)
@settings(PROFILE, max_examples=N_EXAMPLES or 3)
@given(shape=shapes)
def test_plots(prepared: AnnData, name: str, shape: dict[str, Any]):
    adata = build(prepared, shape)
    before = snapshot(adata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert PLOTS[name](adata) is not None
        except ValueError as error:
            assert "fewer than two domains" in str(error)
        finally:
            plt.close("all")
    after = snapshot(sorted_graphs(adata) if shape["view"] else adata)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert all("_colors" in key or key == "uns keys" for key in changed), changed


@PROFILE
@given(shape=shapes)
def test_n_domains(prepared: AnnData, shape: dict[str, Any]):
    adata = build(prepared, {**shape, "view": False})
    before = snapshot(adata)
    found = tl.n_domains(adata, [4, 2], n_repeats=2, min_spots=10, progress=False)
    assert found in (2, 4)
    assert adata.uns["n_domains"]["n_domains"] == found
    after = snapshot(adata)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert all(str(key).startswith("uns") and "n_domains" in str(key) for key in changed), changed


@settings(PROFILE, max_examples=min(N_EXAMPLES or 2, 10))  # a language model reads each spot
@given(shape=shapes)
def test_spot_semantics(prepared: AnnData, shape: dict[str, Any]):
    adata = build(prepared, shape)
    before = snapshot(adata)
    options = {"model": model_folder("smollm2"), "n_top_genes": 2, "key_added": "new", "copy": True, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = pp.spot_semantics(adata, layer="counts" if shape["layer"] else None, **options)
    _matrix(result, "new")
    assert snapshot(adata) == before


@settings(PROFILE, max_examples=N_EXAMPLES or 2)
@given(shape=shapes.filter(lambda shape: "dask" not in shape["matrix"] and shape["matrix"] != "unsorted"))
def test_backed(prepared: AnnData, tmp_path_factory: pytest.TempPathFactory, shape: dict[str, Any]):
    shape = {**shape, "view": False, "layer": False, "index": "object", "nullable": False}
    path = tmp_path_factory.mktemp("backed") / "slice.h5ad"
    adata = build(prepared, shape)
    adata.write_h5ad(path)
    content = path.read_bytes()
    backed = ad.read_h5ad(path, backed="r")
    try:
        pp.gene_semantics(backed, key_added="new")
        np.testing.assert_allclose(
            backed.obsm["new"], pp.gene_semantics(adata, copy=True, key_added="new").obsm["new"], atol=1e-5
        )
        tl.semst(backed, 3, epochs=1, progress=False, key_added="new")
        check_semst(backed)
    except ValueError as error:
        assert pd.Series([str(error)]).str.contains(EMPTY)[0], error
    finally:
        backed.file.close()
    assert path.read_bytes() == content
