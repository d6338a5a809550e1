"""From an AnnData object to what the encoder reads and the decoder explains."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from .._checks import expression, require_counts, require_finite, require_names

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Expression", "read_expression"]

log = logging.getLogger("scsemst")

TARGET_SUM = 1e4
# Logarithms of expression stay below this, measured expression rarely does.
_LARGEST_LOGARITHM = 25.0


@dataclass(frozen=True)
class Expression:
    """Expression of the genes that the model uses."""

    inputs: sparse.csr_matrix
    """Log-normalised, what the encoder reads, shape `(n_spots, n_genes)`."""
    targets: sparse.csr_matrix
    """What the decoder explains: raw counts or, for Gaussian data, the inputs; shape `(n_spots, n_genes)`."""
    log_library: np.ndarray | None
    """Natural log of each spot's total count over all genes, shape `(n_spots,)`; `None` for Gaussian data."""
    genes: np.ndarray
    """Positions of the genes in `adata.var_names`, ascending."""


def read_expression(
    adata: AnnData, *, layer: str | None, n_top_genes: int, likelihood: str, batch_key: str | None = None
) -> Expression:
    """Check the expression matrix, normalise it, and choose highly variable genes.

    Counts are divided by the spot's total, scaled to 10,000 and log(1 + x)-transformed; they stay raw as targets. With
    `likelihood="gaussian"` the same is done to non-negative data whose values are too large for logarithms; other
    data are taken as they are.

    Raises
    ------
    KeyError
        If the layer does not exist.
    ValueError
        If names repeat, values are NaN, negative or no counts where counts are needed, or spots are empty.
    """
    require_names(adata)
    name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    x = sparse.csr_matrix(expression(adata, layer), dtype=np.float32)
    x = x.sorted_indices()  # a copy: scipy would otherwise sort the user's own arrays, which x shares
    if likelihood == "gaussian":
        require_finite(x, name=name)
        is_raw = x.nnz > 0 and x.data.min() >= 0 and x.data.max() > _LARGEST_LOGARITHM
    else:
        require_counts(x, name=name)
        is_raw = True
    library = np.asarray(x.sum(axis=1, dtype=np.float64)).ravel()
    if is_raw:
        _require_nonempty(library, name=name)
    inputs = _log_normalize(x, library) if is_raw else x
    if likelihood == "gaussian" and is_raw:
        log.info("%s was normalised to %g per spot and log-transformed.", name, TARGET_SUM)
    genes = _variable_genes(adata, x if likelihood != "gaussian" else inputs, n_top_genes, likelihood, batch_key)
    inputs = sparse.csr_matrix(inputs[:, genes])
    if likelihood == "gaussian":
        return Expression(inputs, inputs, None, genes)
    return Expression(inputs, sparse.csr_matrix(x[:, genes]), np.log(library).astype(np.float32), genes)


def _require_nonempty(library: np.ndarray, *, name: str) -> None:
    empty = int((library == 0).sum())
    if empty:
        raise ValueError(
            f"{name} has {empty} empty spots (zero counts). Run scanpy.pp.filter_cells(adata, min_counts=1) and "
            "compute the spatial graph again."
        )


def _log_normalize(x: sparse.csr_matrix, library: np.ndarray) -> sparse.csr_matrix:
    scaled = sparse.diags((TARGET_SUM / library).astype(np.float32)) @ x
    return sparse.csr_matrix(scaled.log1p(), dtype=np.float32)


def _variable_genes(
    adata: AnnData, x: sparse.csr_matrix, n_top_genes: int, likelihood: str, batch_key: str | None
) -> np.ndarray:
    """Return the positions of highly variable genes, or of all that are expressed if there are no more."""
    expressed = np.flatnonzero(np.asarray(abs(x).sum(axis=0)).ravel() > 0)
    if expressed.size == 0:
        raise ValueError("No gene is expressed in any spot.")
    if expressed.size <= n_top_genes:
        return expressed
    import anndata as ad
    import scanpy as sc

    subset = ad.AnnData(sparse.csr_matrix(x[:, expressed]), obs=adata.obs[[batch_key]] if batch_key else None)
    options = {"n_top_genes": n_top_genes, "batch_key": batch_key}
    if likelihood == "gaussian":
        sc.pp.highly_variable_genes(subset, flavor="seurat", **options)
    else:
        _variable_counts(subset, options)
    return expressed[subset.var["highly_variable"].to_numpy()]


def _variable_counts(adata: AnnData, options: dict[str, object]) -> None:
    """Mark highly variable genes of counts, widening the span of the fit where few counts make it singular."""
    import scanpy as sc

    for span in (0.3, 0.6, 1.0):
        try:
            sc.pp.highly_variable_genes(adata, flavor="seurat_v3", span=span, **options)
        except ValueError as error:  # scikit-misc's loess: many genes share one mean, so the local fit is singular
            if "singular" not in str(error) or span == 1.0:
                raise
        else:
            return
