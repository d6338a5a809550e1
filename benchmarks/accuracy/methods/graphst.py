"""GraphST (Long et al., 2023), its embedding; its last step, mclust in R, replaced by the same model in this package."""

from __future__ import annotations

import numpy as np
import scanpy as sc
from anndata import AnnData
from sklearn.decomposition import PCA

from scsemst.domains.mixture import fit_mixture


def run(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from GraphST.GraphST import GraphST

    adata = adata.copy()
    if adata.n_vars <= 3000:  # its own preprocessing, less the choice of genes, which fails on small panels
        adata.var["highly_variable"] = True
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        sc.pp.scale(adata, zero_center=False, max_value=10)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = GraphST(adata, device=device, random_seed=seed)
    model.adj = model.adj.to_sparse()  # the same product without its zeros: hours become minutes
    embedding = model.train().obsm["emb"]
    z = PCA(min(20, min(embedding.shape)), random_state=42).fit_transform(embedding)
    return fit_mixture(z, n_domains, rng=seed).labels, z
