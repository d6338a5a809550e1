"""A corner of the demo slice, small enough to be run through everything, and proof that nobody changed it."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

import scsemst

if TYPE_CHECKING:
    from anndata import AnnData

N_OBS, N_VARS = 120, 150


def corner(n_obs: int = N_OBS, n_vars: int = N_VARS) -> AnnData:
    """The spots nearest to one of the demo slice, its first genes, squidpy's graph and gene semantics."""
    import squidpy as sq

    adata = scsemst.datasets.dlpfc()
    distance = np.linalg.norm(adata.obsm["spatial"] - adata.obsm["spatial"][1500], axis=1)
    adata = adata[np.sort(np.argsort(distance, kind="stable")[:n_obs]), :n_vars].copy()
    adata.uns.clear()
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    return adata


def analysed() -> AnnData:
    """The corner with everything in it that any function of the package reads."""
    adata = corner()
    adata.layers["counts"] = adata.X.copy()
    scsemst.tl.semst(adata, 3, epochs=2, progress=False)
    scsemst.tl.modulate(adata, "X_semst", epochs=2, progress=False)
    scsemst.tl.n_domains(adata, [2, 3], n_repeats=2, min_spots=10, progress=False)
    return adata


def snapshot(value: Any, name: str = "") -> dict[str, str]:
    """Hash everything in an AnnData object, byte for byte, by its place; a view, whose bytes are another's, by value."""
    if hasattr(value, "obs_names"):
        value = sorted_graphs(value) if value.is_view else value
        parts = {name: getattr(value, name) for name in ("X", "obs", "var", "uns")}
        parts |= {name: dict(getattr(value, name)) for name in ("obsm", "varm", "obsp", "varp", "layers")}
        parts["raw"] = None if value.raw is None else value.raw.X
        return {key: digest for name, part in parts.items() for key, digest in snapshot(part, name).items()}
    if isinstance(value, dict):
        found = {f"{name} keys": _hash(list(map(str, value)))}
        return found | {key: d for k, v in value.items() for key, d in snapshot(v, f"{name}[{k!r}]").items()}
    if isinstance(value, pd.DataFrame):
        found = snapshot(value.index, f"{name}.index") | {f"{name} keys": _hash(list(value.columns))}
        return found | {key: d for k in value for key, d in snapshot(value[k], f"{name}[{k!r}]").items()}
    if sparse.issparse(value):
        arrays = [getattr(value, part) for part in ("data", "indices", "indptr")]
        return {name: _hash([type(value).__name__, value.shape, *((a.dtype.str, a.tobytes()) for a in arrays)])}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return {name: _hash((value.dtype.str, value.shape, value.tobytes()))}
    if hasattr(value, "compute"):
        return snapshot(value.compute(), name)
    if isinstance(value, pd.Series | pd.Index | pd.Categorical):
        return {name: _hash((str(value.dtype), list(map(str, value))))}
    return {name: _hash(value)}


def sorted_graphs(adata: AnnData) -> AnnData:
    """Return a copy with sorted graphs: each look at a view's graph may find another order."""
    adata = adata.copy()
    for key in adata.obsp:
        adata.obsp[key].sort_indices()
    return adata


def _hash(value: object) -> str:
    return hashlib.sha256(pickle.dumps(value)).hexdigest()
