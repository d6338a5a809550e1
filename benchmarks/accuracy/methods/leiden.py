"""scanpy's usual way, which knows nothing of space."""

from __future__ import annotations

import numpy as np
import scanpy as sc
from anndata import AnnData

from scsemst.tl import leiden_domains

from .ten_lines import span


def preprocess(adata: AnnData) -> AnnData:
    """Log-normalise, choose 3000 variable genes if there are more, compute 50 components; a copy."""
    adata = adata.copy()
    if adata.n_vars > 3000:
        sc.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=3000, span=span(adata))
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    if adata.n_vars > 3000:
        adata = adata[:, adata.var["highly_variable"].to_numpy()].copy()
    sc.pp.pca(adata, n_comps=min(50, min(adata.shape) - 1), random_state=0)
    return adata


def run(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    adata = preprocess(adata)
    leiden_domains(adata, n_domains, use_rep="X_pca", key_added="domain", rng=seed)
    return adata.obs["domain"].cat.codes.to_numpy(), adata.obsm["X_pca"]
