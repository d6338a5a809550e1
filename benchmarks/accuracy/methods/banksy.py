"""BANKSY (Singhal et al., 2024), with its recommended settings for domains."""

from __future__ import annotations

import numpy as np
import scanpy as sc
from anndata import AnnData

from scsemst.domains.leiden import leiden_for

from .leiden import preprocess

LAMBDA = 0.8  # of its documentation, for domains


def run(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from banksy.embed_banksy import generate_banksy_matrix
    from banksy.initialize_banksy import initialize_banksy

    adata = preprocess(adata)
    adata.X = adata.X.toarray()
    adata.obs["x"], adata.obs["y"] = adata.obsm["spatial"][:, 0], adata.obsm["spatial"][:, 1]
    plots = {"plt_edge_hist": False, "plt_nbr_weights": False, "plt_agf_angles": False, "plt_theta": False}
    weights = initialize_banksy(adata, ("x", "y", "spatial"), num_neighbours=15, max_m=1, **plots)
    _, matrix = generate_banksy_matrix(adata, weights, [LAMBDA], max_m=1, verbose=False)
    x = np.asarray(matrix.X.toarray() if hasattr(matrix.X, "toarray") else matrix.X)
    z = sc.pp.pca(np.nan_to_num(x), n_comps=min(20, min(x.shape) - 1), random_state=0)
    carrier = AnnData(obsm={"X_pca": z}, shape=(len(z), 0))
    sc.pp.neighbors(carrier, 50, use_rep="X_pca", random_state=seed)  # its own number of neighbours
    return leiden_for(carrier.obsp["connectivities"], z, n_domains, random_state=seed)[0], z
