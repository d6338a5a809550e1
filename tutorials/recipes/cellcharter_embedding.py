"""FSM for CellCharter: its features of neighbours, layer by layer, modulated by `tl.modulate`."""

from __future__ import annotations

import cellcharter as cc
import numpy as np
from anndata import AnnData
from numpy import ndarray

import scsemst


def embed(
    adata: AnnData,
    *,
    semantics_key: str | None,
    epochs=100,
    n_layers=3,
    n_latent=10,
    semantic_hops=2,
    likelihood="zinb",
    seed=0,
) -> ndarray:
    """Return the embedding, shape `(n_obs, (n_layers + 1) * n_latent)`; needs `X_pca`, squidpy's graph and the semantics."""
    adata.obsm["X_features"] = np.asarray(adata.obsm["X_pca"][:, :n_latent], dtype=np.float32)
    cc.gr.aggregate_neighbors(adata, n_layers=n_layers, use_rep="X_features")
    if semantics_key is None:
        return adata.obsm["X_cellcharter"]
    scsemst.tl.modulate(
        adata,
        "X_cellcharter",
        semantics_key=semantics_key,
        semantic_hops=semantic_hops,
        epochs=epochs,
        likelihood=likelihood,
        rng=seed,
        progress=False,
    )
    return adata.obsm["X_cellcharter_semst"]
