"""From an AnnData object to what the encoder reads and the decoder explains."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scsemst._checks import expression, require_counts, require_names
from scsemst._chunks import canonical, in_memory, row_blocks, take_rows

from .variable_genes import variable_genes

if TYPE_CHECKING:
    from anndata import AnnData

    from .slices import Slices

__all__ = ["Expression", "read_expression", "take_columns"]

log = logging.getLogger("scsemst")

TARGET_SUM = 1e4
# Logarithms of expression stay below this, measured expression rarely does.
_LARGEST_LOGARITHM = 25.0


@dataclass(frozen=True)
class Expression:
    """Expression of the genes that the model uses; it stays on disk if that is where it was."""

    matrix: Any
    """All genes of a matrix on disk, the chosen genes of one in memory; spots × genes."""
    columns: np.ndarray | None
    """Which genes to take of each row read, if not all."""
    genes: np.ndarray
    """Positions of the chosen genes in `adata.var_names`, in the order of their names."""
    library: np.ndarray | None
    """Total of each spot over all genes, shape `(n_spots,)`; `None` where the values are used as they are."""
    counts: bool
    """Whether the decoder explains raw counts; if not, it explains what the encoder reads."""

    @property
    def n_spots(self) -> int:
        """Number of spots."""
        return self.matrix.shape[0]

    def rows(self, spots: np.ndarray) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return what the encoder reads and what the decoder explains, each of shape `(len(spots), n_genes)`."""
        x = take_rows(self.matrix, spots)
        if self.columns is not None:
            x = take_columns(x, self.columns)
        if self.library is None:
            return x, x
        scaled = sparse.diags((TARGET_SUM / self.library[spots]).astype(np.float32)) @ x
        inputs = sparse.csr_matrix(scaled.log1p(), dtype=np.float32)
        return inputs, x if self.counts else inputs

    def log_library(self, spots: np.ndarray) -> np.ndarray | None:
        """Return the natural log of the spots' totals, where the decoder explains counts."""
        if self.library is None or not self.counts:
            return None
        return np.log(self.library[spots]).astype(np.float32)


def read_expression(
    adata: AnnData,
    *,
    layer: str | None,
    n_top_genes: int,
    likelihood: str,
    slices: Slices | None = None,
    normalize: bool | None = None,
) -> Expression:
    """Check the expression matrix, sum its spots, and choose highly variable genes.

    Counts are divided by the spot's total, scaled to 10,000 and log(1 + x)-transformed; they stay raw as targets. With
    `likelihood="gaussian"` the same is done to non-negative data whose values are too large for logarithms; other
    data are taken as they are, unless `normalize` says what to do. A matrix on disk is read in two passes, chunk by chunk.

    Raises
    ------
    KeyError
        If the layer does not exist.
    ValueError
        If names repeat, values are NaN, negative or no counts where counts are needed, or spots are empty.
    """
    require_names(adata)
    name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    x, counts = expression(adata, layer), likelihood != "gaussian"
    library, smallest, largest = np.zeros(adata.n_obs), np.inf, -np.inf
    found = np.zeros((1 if slices is None else slices.n, adata.n_vars), dtype=bool)
    for rows, block in row_blocks(x, name=name, nonnegative=counts):
        if counts:
            require_counts(block, name=name)
        library[rows] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        found |= _expressed(block, slices and slices.take(np.arange(adata.n_obs)[rows]))
        if block.size:
            smallest, largest = min(smallest, block.min()), max(largest, block.max())
    looks_raw = smallest >= 0 and largest > _LARGEST_LOGARITHM
    is_raw = counts or (looks_raw if normalize is None else normalize)
    if is_raw and smallest < 0:
        raise ValueError(f"{name} has negative values, but the model was trained on values that were normalised.")
    if is_raw and (empty := int((library == 0).sum())):
        raise ValueError(
            f"{name} has {empty} empty spots (zero counts). Run scanpy.pp.filter_cells(adata, min_counts=1) and "
            "compute the spatial graph again."
        )
    if is_raw and not counts:
        log.info("%s was normalised to %g per spot and log-transformed.", name, TARGET_SUM)
    if in_memory(x):
        # A copy: scipy would otherwise sort the user's own arrays, which x shares
        x = canonical(sparse.csr_matrix(x, dtype=np.float32, copy=True))
    whole = Expression(x, None, np.arange(adata.n_vars), library if is_raw else None, counts)
    genes = variable_genes(whole, n_top_genes, adata.var_names, found, slices)
    if in_memory(x):
        return Expression(take_columns(x, genes), None, genes, whole.library, counts)
    return Expression(x, genes, genes, whole.library, counts)


def _expressed(block: Any, slices: Slices | None) -> np.ndarray:
    """Whether genes are not zero in some of a few spots, by slice, shape `(n_slices, n_genes)`."""
    measured = sparse.csr_matrix(block != 0)
    if slices is None:
        return np.bincount(measured.indices, minlength=measured.shape[1])[None] > 0
    return (slices.member @ measured).toarray() > 0


def take_columns(x: sparse.csr_matrix, columns: np.ndarray) -> sparse.csr_matrix:
    """Return some columns in the order asked for, sorted within rows: sums over genes then have one order."""
    if columns.size < x.shape[1]:
        x = sparse.csr_matrix(x[:, columns])
    else:  # all of them: no second copy of the values
        place = np.empty(columns.size, dtype=x.indices.dtype)
        place[columns] = np.arange(columns.size)
        x = sparse.csr_matrix((x.data, place[x.indices], x.indptr), shape=x.shape)
    x.sort_indices()
    return x
