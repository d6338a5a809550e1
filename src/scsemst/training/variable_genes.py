"""Which genes the model uses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from scsemst._threads import keep_torch_threads

if TYPE_CHECKING:
    from anndata import AnnData

    from .expression import Expression
    from .slices import Slices

__all__ = ["variable_genes"]

log = logging.getLogger("scsemst")

# Variances of genes are known well from so many spots; more would only cost memory.
_MAX_SPOTS = 50_000
_MIN_SPOTS = 1000  # of each slice, or all it has


@keep_torch_threads()
def variable_genes(
    expression: Expression, n_top_genes: int, names: pd.Index, found: np.ndarray, slices: Slices | None = None
) -> np.ndarray:
    """Return the positions of highly variable genes, or of all that are expressed if there are no more, by name.

    By name, so that the order of the columns changes nothing, neither ties here nor what is drawn for each gene. The
    variance-stabilised ranking of Seurat v3 for counts, the dispersions of Seurat for normalised data, both by
    scanpy, on at most 50,000 evenly spaced spots. Of several slices, genes are taken that are expressed in all of
    them, ranked by scanpy within each: a gene that only some slices measured would tell the slices apart. Values
    below zero, which have no dispersion, are ranked by their variance.

    Parameters
    ----------
    expression
        All genes of the slice.
    n_top_genes
        Most genes to return.
    names
        Of the genes.
    found
        Whether a gene is expressed in a slice, shape `(n_slices, n_genes)`; one row without slices.
    slices
        Slices to rank genes within.
    """
    expressed = _expressed(found, slices)
    expressed = expressed[np.argsort(names[expressed].to_numpy(dtype=str), kind="stable")]
    if expressed.size <= n_top_genes:
        return expressed
    spots = _sample(expression.n_spots, slices)
    inputs, targets = expression.rows(spots)
    x = targets if expression.counts else inputs
    here = None if slices is None else slices.take(spots)
    if x.nnz and x.data.min() < 0:
        return expressed[_most_variable(x[:, expressed], n_top_genes, here)]
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
    if batch_key is not None:
        return expressed[subset.var["highly_variable"].to_numpy()]
    # Of equal ones scanpy takes all, and of those without a score none
    return expressed[_top(subset.var["dispersions_norm"].fillna(-np.inf).to_numpy(), n_top_genes)]


def _sample(n: int, slices: Slices | None) -> np.ndarray:
    """Return evenly spaced spots, of each slice by its size but enough of the small ones."""
    if n <= _MAX_SPOTS:
        return np.arange(n)
    if slices is None:
        return np.linspace(0, n - 1, _MAX_SPOTS).astype(np.int64)
    enough = np.maximum(slices.sizes * _MAX_SPOTS // n, min(_MIN_SPOTS, _MAX_SPOTS // slices.n))
    spots = np.split(np.argsort(slices.codes, kind="stable"), np.cumsum(slices.sizes)[:-1])
    evenly = [
        own[np.linspace(0, own.size - 1, min(k, own.size)).astype(int)] for own, k in zip(spots, enough, strict=True)
    ]
    return np.sort(np.concatenate(evenly))


def _expressed(found: np.ndarray, slices: Slices | None) -> np.ndarray:
    """Return the genes that are expressed, in every slice if there are several."""
    common, anywhere = np.flatnonzero(found.all(axis=0)), int(found.any(axis=0).sum())
    if not anywhere:
        raise ValueError("No gene is expressed in any spot. Pass layer= to name the expression matrix.")
    if slices is not None and common.size == 0:
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
        except ValueError as error:
            # scikit-misc's loess, whose messages are bytes: many genes share one mean, so the local fit is singular
            if not str(error).startswith(("b'", 'b"')):
                raise
        else:
            return adata.var["highly_variable"].to_numpy()
    # So few counts that no smooth trend can be fitted: rank by the index of dispersion, variance over mean
    from sklearn.utils.sparsefuncs import mean_variance_axis

    mean, variance = mean_variance_axis(adata.X, axis=0)
    return _top(variance / np.where(mean > 0, mean, 1), n_top_genes)


def _most_variable(x: sparse.csr_matrix, n_top_genes: int, slices: Slices | None) -> np.ndarray:
    """Return which genes have the largest variance, averaged over slices."""
    from sklearn.utils.sparsefuncs import mean_variance_axis

    parts = [x] if slices is None else [x[slices.codes == i] for i in range(slices.n)]
    return _top(np.mean([mean_variance_axis(part, axis=0)[1] for part in parts], axis=0), n_top_genes)


def _top(score: np.ndarray, n: int) -> np.ndarray:
    return np.isin(np.arange(score.size), np.argsort(-score, kind="stable")[:n])
