"""The flavours of squidpy's `calculate_niche`, with its defaults and the number of domains matched if it can be."""

from __future__ import annotations

import numpy as np
import scanpy as sc
import squidpy as sq
from anndata import AnnData

from .leiden import preprocess
from .search import search


def _prepare(adata: AnnData) -> AnnData:
    adata = preprocess(adata)
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    return adata


def _resolution(adata: AnnData, n_domains: int, prefix: str, **options: object) -> np.ndarray:
    def cluster(resolution: float) -> np.ndarray:
        result = sq.gr.calculate_niche(adata, resolutions=resolution, inplace=False, **options)
        return result.obs[f"{prefix}_res={resolution}"].astype(str).to_numpy()

    return search(cluster, n_domains)


def cellcharter(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, None]:
    adata = _prepare(adata)
    sq.gr.calculate_niche(adata, "cellcharter", n_components=n_domains, random_state=seed)
    return adata.obs["cellcharter_niche"].cat.codes.to_numpy(), None


def neighborhood(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, None]:
    adata = _prepare(adata)
    sc.pp.neighbors(adata, random_state=seed)
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False, random_state=seed)
    options = {"flavor": "neighborhood", "groups": "leiden", "n_neighbors": 15}
    return _resolution(adata, n_domains, "nhood_niche", **options), None


def utag(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, None]:
    adata = _prepare(adata)
    return _resolution(adata, n_domains, "utag_niche", flavor="utag", n_neighbors=15), None


def spatialleiden(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, None]:
    adata = _prepare(adata)
    sc.pp.neighbors(adata, random_state=seed)
    return _resolution(adata, n_domains, "spatialleiden", flavor="spatialleiden", random_state=seed), None
