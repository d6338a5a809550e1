"""Which genes the model uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from .expression import Expression

__all__ = ["variable_genes"]

# Variances of genes are known well from so many spots; more would only cost memory.
_MAX_SPOTS = 50_000


def variable_genes(expression: Expression, n_top_genes: int, names: pd.Index) -> np.ndarray:
    """Return the positions of highly variable genes, or of all that are expressed if there are no more, by name.

    By name, so that the order of the columns changes nothing, neither ties here nor what is drawn for each gene. The variance-stabilised ranking of Seurat v3 for counts, the dispersions of Seurat for normalised data, both by
    scanpy, on at most 50,000 evenly spaced spots.
    """
    n = expression.n_spots
    spots = np.arange(n) if n <= _MAX_SPOTS else np.linspace(0, n - 1, _MAX_SPOTS).astype(np.int64)
    inputs, targets = expression.rows(spots)
    x = targets if expression.counts else inputs
    expressed = np.flatnonzero(np.asarray(abs(x).sum(axis=0)).ravel() > 0)
    expressed = expressed[np.argsort(names[expressed].to_numpy(dtype=str), kind="stable")]
    if expressed.size == 0:
        raise ValueError("No gene is expressed in any spot. Pass layer= to name the expression matrix.")
    if expressed.size <= n_top_genes:
        return expressed
    import anndata as ad
    import scanpy as sc

    subset = ad.AnnData(sparse.csr_matrix(x[:, expressed]))
    if expression.counts:
        return expressed[_variable_counts(subset, n_top_genes)]
    sc.pp.highly_variable_genes(subset, flavor="seurat", n_top_genes=n_top_genes)
    return expressed[subset.var["highly_variable"].to_numpy()]


def _variable_counts(adata: AnnData, n_top_genes: int) -> np.ndarray:
    """Return which genes of counts are highly variable, widening the span of the fit where few counts make it singular."""
    import scanpy as sc

    for span in (0.3, 0.6, 1.0):
        try:
            sc.pp.highly_variable_genes(adata, flavor="seurat_v3", span=span, n_top_genes=n_top_genes)
        except ValueError as error:  # scikit-misc's loess: many genes share one mean, so the local fit is singular
            if not any(word in str(error) for word in ("singular", "svddc")):
                raise
        else:
            return adata.var["highly_variable"].to_numpy()
    # So few counts that no smooth trend can be fitted: rank by the index of dispersion, variance over mean
    mean = np.asarray(adata.X.mean(axis=0)).ravel()
    variance = np.asarray(adata.X.multiply(adata.X).mean(axis=0)).ravel() - mean**2
    top = np.argsort(-variance / mean, kind="stable")[:n_top_genes]
    return np.isin(np.arange(adata.n_vars), top)
