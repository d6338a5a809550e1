"""Spot vectors as sums of gene vectors, weighted by what is special about each spot's expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from scsemst._chunks import row_blocks

if TYPE_CHECKING:
    from typing import Any


class Aggregate(NamedTuple):
    """Spot vectors and what was seen on the way."""

    vectors: np.ndarray
    """`float32`, shape `(n_obs, d)`; zero for empty spots."""
    empty: np.ndarray
    """`bool`, shape `(n_obs,)`: spots without counts."""
    matched_share: float
    """Share of all counts that fell on matched genes."""
    target_sum: float
    """Counts of each spot after normalisation."""


def aggregate(
    x: Any,
    vectors: np.ndarray,
    *,
    matched: np.ndarray,
    target_sum: float | None = None,
    name: str = "x",
    progress: bool = True,
) -> Aggregate:
    r"""Sum gene vectors over each spot's centred log-normalised expression.

    With :math:`L_{sg} = \log(1 + t\,x_{sg} / \sum_h x_{sh})` and gene vectors :math:`v_g`,

    .. math:: z_s = \frac{1}{c} \sum_g \Big(L_{sg} - \frac{1}{n} \sum_r L_{rg}\Big) v_g

    over the matched genes, where :math:`c^2`, the mean squared length of the centred rows of :math:`L`, is the total
    variance of the expression: for unrelated gene vectors of unit length the mean squared length of :math:`z_s` would
    be 1, whatever the number of genes and the depth. The sum is linear, so centring the genes is centring the
    product: expression stays sparse and is transformed in one pass. Spots without counts are left out of the means and get
    zero vectors.

    Parameters
    ----------
    x
        Expression, not negative, shape `(n_obs, n_vars)`: dense, CSR, CSC, backed or dask.
    vectors
        Gene vectors, shape `(n_vars, d)`.
    matched
        Which genes have a vector, `bool`, shape `(n_vars,)`.
    target_sum
        Counts of each spot after normalisation; their median over spots with counts if `None`, which
        takes one more pass, over the sums only.
    name
        What error messages call `x`.
    progress
        Show a progress bar if it takes more than two seconds.

    Returns
    -------
    Spot vectors, mask of empty spots, share of counts matched, counts of each spot after normalisation.

    Raises
    ------
    ValueError
        If `x` has negative, NaN or infinite values, or no counts at all.
    """
    n_obs, n_vars = x.shape
    if target_sum is None:
        totals = np.concatenate([_totals(block) for _, block in row_blocks(x, name=name)])
        target_sum = float(np.median(totals[totals > 0])) if (totals > 0).any() else 1.0
    # Rows of unmatched genes may not count, whatever they hold.
    weights = np.where(matched[:, None], vectors, 0).astype(np.float64)
    result = np.empty((n_obs, vectors.shape[1]), dtype=np.float32)
    empty = np.zeros(n_obs, dtype=bool)
    total = total_matched = 0.0
    gene_sum, gene_square, vector_sum = np.zeros(n_vars), np.zeros(n_vars), np.zeros(vectors.shape[1])
    for rows, block in row_blocks(x, name=name, progress="gene semantics" if progress else None):
        totals = _totals(block)
        empty[rows] = totals == 0
        total += totals.sum()
        total_matched += float((block @ matched.astype(np.float64)).sum())
        logs = _log_normalized(block, totals, target_sum)
        product = logs @ weights
        result[rows] = product
        vector_sum += product.sum(axis=0)
        gene_sum += np.asarray(logs.sum(axis=0)).ravel()
        gene_square += _square_sums(logs)
    n_filled = n_obs - int(empty.sum())
    if n_filled == 0:
        raise ValueError(f"{name} has no counts: all {n_obs} spots are empty.")
    variance = gene_square / n_filled - (gene_sum / n_filled) ** 2
    scale = np.sqrt(max(variance[matched].sum(), 0.0))
    result -= (vector_sum / n_filled).astype(np.float32)
    if scale > 1e-6:  # a single spot, or spots all alike, differ from their mean by rounding only
        result /= np.float32(scale)
    else:
        result[:] = 0
    result[empty] = 0
    return Aggregate(result, empty, total_matched / total, target_sum)


def _totals(block: Any) -> np.ndarray:
    return np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()


def _log_normalized(block: Any, totals: np.ndarray, target_sum: float) -> Any:
    factor = np.divide(target_sum, totals, out=np.zeros_like(totals), where=totals > 0)
    if not sparse.issparse(block):
        return np.log1p(block * factor[:, None])
    data = np.log1p(block.data * np.repeat(factor, np.diff(block.indptr)))
    return sparse.csr_array((data, block.indices, block.indptr), shape=block.shape)


def _square_sums(logs: Any) -> np.ndarray:
    if not sparse.issparse(logs):
        return np.einsum("sg,sg->g", logs, logs)
    return np.bincount(logs.indices, weights=logs.data**2, minlength=logs.shape[1])
