"""Smoothed expression, principal components, mixture: the ten lines that a method has to beat."""

from __future__ import annotations

import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy import sparse
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import kneighbors_graph


def logged(
    adata: AnnData, *, target_sum: float | None, genes_first: bool = True, n_genes: int = 3000
) -> sparse.csr_matrix:
    """Log-normalised expression of the variable genes.

    Variable genes are chosen before normalisation to their sum, or after normalisation to the sum of all.
    """
    adata = adata.copy()
    variable = np.ones(adata.n_vars, dtype=bool)
    if n_genes < adata.n_vars:
        sc.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=n_genes, span=span(adata))
        variable = adata.var["highly_variable"].to_numpy()
    adata = adata[:, variable].copy() if genes_first else adata
    sc.pp.normalize_total(adata, target_sum=target_sum)
    sc.pp.log1p(adata)
    return adata.X if genes_first else adata.X[:, variable]


def averaged_components(x: sparse.csr_matrix, coords: np.ndarray, n_components: int, share: float = 1) -> np.ndarray:
    """Principal components of expression, averaged three times over 6 neighbours and the spot itself.

    With a share, an average takes that much of what the neighbours would have in it.
    """
    itself = sparse.identity(x.shape[0], format="csr")
    mean = share * (kneighbors_graph(coords, 6) + itself) / 7 + (1 - share) * itself
    for _ in range(3):
        x = mean @ x
    return sc.pp.pca(np.asarray(x.toarray()), n_comps=min(n_components, min(x.shape) - 1), random_state=0)


def components(adata: AnnData, *, n_components: int, target_sum: float | None, genes_first: bool = True) -> np.ndarray:
    """What the mixture reads."""
    x = logged(adata, target_sum=target_sum, genes_first=genes_first)
    return averaged_components(x, np.asarray(adata.obsm["spatial"]), n_components)


def span(adata: AnnData) -> float:
    """Widen the span of the variance fit where few counts make it singular, as scanpy's error advises."""
    for value in (0.3, 0.6, 1.0):
        try:
            sc.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=10, span=value, inplace=False)
        except ValueError:
            continue
        return value
    return 1.0


def mixture(z: np.ndarray, n_domains: int, seed: int, *, n_init: int) -> np.ndarray:
    model = GaussianMixture(n_domains, covariance_type="tied", n_init=n_init, random_state=seed)
    return model.fit_predict(z)


def run(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z = components(adata, n_components=15, target_sum=1e4)
    return mixture(z, n_domains, seed, n_init=5), z


def one_start(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z = components(adata, n_components=15, target_sum=1e4)
    return mixture(z, n_domains, seed, n_init=1), z


def all_genes(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z = components(adata, n_components=15, target_sum=1e4, genes_first=False)
    return mixture(z, n_domains, seed, n_init=5), z


def ten_components(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    z = components(adata, n_components=10, target_sum=None)
    return mixture(z, n_domains, seed, n_init=5), z


def consensus(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from scsemst.domains.consensus import fit_consensus

    z = components(adata, n_components=20, target_sum=1e4)
    return fit_consensus(z, n_domains, rng=seed), z
