"""Which genes the model uses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

    from .expression import Expression
    from .slices import Slices

__all__ = ["variable_genes"]

log = logging.getLogger("scsemst")

# Variances of genes are known well from so many spots; more would only cost memory.
_MAX_SPOTS = 50_000


def variable_genes(
    expression: Expression, n_top_genes: int, names: pd.Index, slices: Slices | None = None
) -> np.ndarray:
    """Return the positions of highly variable genes, or of all that are expressed if there are no more, by name.

    By name, so that the order of the columns changes nothing, neither ties here nor what is drawn for each gene. The
    variance-stabilised ranking of Seurat v3 for counts, the dispersions of Seurat for normalised data, both by
    scanpy, on at most 50,000 evenly spaced spots. Of several slices, genes are taken that are expressed in all of
    them, ranked by scanpy within each: a gene that only some slices measured would tell the slices apart.
    """
    n = expression.n_spots
    spots = np.arange(n) if n <= _MAX_SPOTS else np.linspace(0, n - 1, _MAX_SPOTS).astype(np.int64)
    inputs, targets = expression.rows(spots)
    x = targets if expression.counts else inputs
    here = None if slices is None else slices.take(spots)
    expressed = _expressed(x, here)
    expressed = expressed[np.argsort(names[expressed].to_numpy(dtype=str), kind="stable")]
    if expressed.size <= n_top_genes:
        return expressed
    import anndata as ad
    import scanpy as sc

    subset = ad.AnnData(sparse.csr_matrix(x[:, expressed]))
    batch_key = None
    if here is not None:
        batch_key = "slice"
        names = pd.Index([str(i) for i in range(here.n)], dtype=object)
        subset.obs[batch_key] = pd.Categorical.from_codes(here.codes, categories=names)
    if expression.counts:
        return expressed[_variable_counts(subset, n_top_genes, batch_key)]
    sc.pp.highly_variable_genes(subset, flavor="seurat", n_top_genes=n_top_genes, batch_key=batch_key)
    return expressed[subset.var["highly_variable"].to_numpy()]


def _expressed(x: sparse.csr_matrix, slices: Slices | None) -> np.ndarray:
    """Return the genes that are expressed, in every slice if there are several."""
    positive = sparse.csr_matrix(x > 0)
    if not positive.nnz:
        raise ValueError("No gene is expressed in any spot. Pass layer= to name the expression matrix.")
    if slices is None:
        return np.unique(positive.indices)
    found = (slices.member @ positive).toarray() > 0
    common, anywhere = np.flatnonzero(found.all(axis=0)), int(found.any(axis=0).sum())
    if common.size == 0:
        numbers = ", ".join(f"{name!r} {n}" for name, n in list(zip(slices.names, found.sum(axis=1), strict=True))[:5])
        raise ValueError(
            f"The slices share no gene: none is expressed in all {slices.n} of them (genes expressed in {numbers}). Bring "
            "adata.var_names of all slices to names of one kind before anndata.concat, or leave out slices of another panel."
        )
    if common.size < anywhere:
        log.info("%d genes that are not expressed in every slice are left out.", anywhere - common.size)
    return common


def _variable_counts(adata: AnnData, n_top_genes: int, batch_key: str | None) -> np.ndarray:
    """Return which genes of counts are highly variable, widening the span of the fit where few counts make it singular."""
    import scanpy as sc

    for span in (0.3, 0.6, 1.0):
        try:
            sc.pp.highly_variable_genes(
                adata, flavor="seurat_v3", span=span, n_top_genes=n_top_genes, batch_key=batch_key
            )
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
