"""FSM for GraphST (Long et al., 2023): its embedding, modulated by `tl.modulate`.

GraphST gives spots × genes, of which its own clustering reads 20 principal components; so does this. It holds several
arrays of spots × spots: a few thousand spots are its limit. It seeds the global random state.
"""

from __future__ import annotations

import scanpy as sc
import torch
from anndata import AnnData
from GraphST.GraphST import GraphST
from numpy import ndarray

import scsemst


def graphst(adata: AnnData, *, n_epochs=600, n_latent=20, seed=0) -> ndarray:
    """Return what GraphST's own clustering reads, shape `(n_obs, n_latent)`; needs raw counts and coordinates."""
    given = adata.copy()
    if given.n_vars <= 3000:  # GraphST's preprocessing without its choice of 3000 genes
        given.var["highly_variable"] = True
        sc.pp.normalize_total(given, target_sum=1e4)
        sc.pp.log1p(given)
        sc.pp.scale(given, zero_center=False, max_value=10)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = GraphST(given, device=device, epochs=n_epochs, random_seed=seed)
    model.adj = model.adj.to_sparse()  # the same product without its zeros
    emb = model.train().obsm["emb"]
    return sc.pp.pca(emb, n_comps=min(n_latent, *(n - 1 for n in emb.shape)), random_state=0)


def embed(
    adata: AnnData,
    *,
    semantics_key: str | None,
    epochs=100,
    n_epochs_graphst=600,
    n_latent=20,
    semantic_hops=2,
    likelihood="zinb",
    seed=0,
) -> ndarray:
    """Return the embedding, shape `(n_obs, n_latent)`; needs raw counts, coordinates and the semantics."""
    # GraphST takes minutes: if it has run, it is not run again
    if "X_graphst" not in adata.obsm:
        adata.obsm["X_graphst"] = graphst(adata, n_epochs=n_epochs_graphst, n_latent=n_latent, seed=seed)
    if semantics_key is None:
        return adata.obsm["X_graphst"]
    scsemst.tl.modulate(
        adata,
        "X_graphst",
        semantics_key=semantics_key,
        semantic_hops=semantic_hops,
        epochs=epochs,
        likelihood=likelihood,
        rng=seed,
        progress=False,
    )
    return adata.obsm["X_graphst_semst"]
