"""FSM for an embedding of any method: `tl.modulate` on a non-negative matrix factorisation of the counts."""

from __future__ import annotations

import scanpy as sc
from anndata import AnnData
from numpy import ndarray
from sklearn.decomposition import NMF

import scsemst


def embed(
    adata: AnnData, *, semantics_key: str | None, epochs=100, n_latent=15, semantic_hops=0, likelihood="zinb", seed=0
) -> ndarray:
    """Return the embedding, shape `(n_obs, n_latent)`; with semantics, the modulated one."""
    x = sc.pp.log1p(sc.pp.normalize_total(adata, target_sum=1e4, copy=True), copy=True).X
    adata.obsm["X_nmf"] = NMF(n_latent, init="nndsvd", max_iter=200, random_state=seed).fit_transform(x)
    if semantics_key is None:
        return adata.obsm["X_nmf"]
    scsemst.tl.modulate(
        adata,
        "X_nmf",
        semantics_key=semantics_key,
        semantic_hops=semantic_hops,
        epochs=epochs,
        likelihood=likelihood,
        rng=seed,
        progress=False,
    )
    return adata.obsm["X_nmf_semst"]
