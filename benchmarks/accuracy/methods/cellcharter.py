"""CellCharter (Varrone et al., 2024): neighbours' features layer by layer, then its Gaussian mixture."""

from __future__ import annotations

import numpy as np
import squidpy as sq
from anndata import AnnData

from .leiden import preprocess

N_COMPONENTS = 10  # as many as the latent space of scVI, which its tutorials use before this step


def run(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    import cellcharter as cc

    adata = preprocess(adata)
    adata.obsm["X"] = adata.obsm["X_pca"][:, :N_COMPONENTS].astype(np.float32)
    sq.gr.spatial_neighbors_delaunay(adata)
    cc.gr.remove_long_links(adata)
    cc.gr.aggregate_neighbors(adata, n_layers=3, use_rep="X")
    trainer = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False}
    model = cc.tl.Cluster(n_domains, random_state=seed, trainer_params=trainer)
    model.fit(adata, use_rep="X_cellcharter")
    return np.asarray(model.predict(adata, use_rep="X_cellcharter")), adata.obsm["X_cellcharter"]
