"""Expression matrices of any kind, read block by block."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ._checks import require_finite, require_nonnegative

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["canonical", "in_memory", "row_blocks", "take_rows", "whole"]

log = logging.getLogger("scsemst")

_CHUNK_VALUES = 2**24
"""Values per chunk were it dense: bounds the memory whatever the shape."""


def in_memory(x: Any) -> bool:
    """Whether a matrix is an array or a sparse matrix in memory, not backed by a file and not lazy."""
    return isinstance(x, np.ndarray) or sparse.issparse(x)


def canonical(x: Any) -> Any:
    """Return a sparse matrix with each entry stored once, in order; the one given stays as it is."""
    if x.has_canonical_format:
        return x
    x = x.copy()
    x.sum_duplicates()
    return x


def row_blocks(
    x: Any, *, name: str, nonnegative: bool = True, progress: str | None = None, step: int | None = None
) -> Iterator[tuple[slice, Any]]:
    """Yield slices of rows and their values in memory, checked to be finite and, if asked, not negative.

    Parameters
    ----------
    x
        Shape `(n_obs, n_vars)`: dense, CSR, CSC, backed or dask.
    name
        What error messages call `x`.
    nonnegative
        Whether negative values are an error.
    progress
        Title of a progress bar, none without.
    step
        Rows at a time; as many as bound the memory if `None`. A dask array has chunks of its own.
    """
    from tqdm.auto import tqdm

    n_obs, n_vars = x.shape
    if sparse.issparse(x) and x.format != "csr":
        x = x.tocsr()  # a few rows of another format cost a pass over all
    elif getattr(x, "format", "csr") == "csc":
        log.warning(
            "%s is stored column by column (CSC) on disk: each chunk of rows reads all of it. If that takes long, write it "
            "row by row: scipy.sparse.csr_matrix.",
            name,
        )
    lazy = hasattr(x, "dask")
    if lazy:
        x = x.rechunk({1: -1}) if len(x.chunks[1]) > 1 else x
        bounds = np.concatenate([[0], np.cumsum(x.chunks[0])])
    else:
        step = max(1, _CHUNK_VALUES // max(1, n_vars)) if step is None else step
        bounds = np.append(np.arange(0, n_obs, step), n_obs)
    spans = zip(bounds[:-1], bounds[1:], strict=True)
    bar = tqdm(spans, total=len(bounds) - 1, desc=progress, unit="chunk", delay=2, disable=progress is None)
    for i, (start, stop) in enumerate(bar):
        rows = slice(int(start), int(stop))
        block = x.blocks[i].compute() if lazy else x[rows]
        block = block.astype(np.float32) if block.dtype == np.float16 else block  # which scipy cannot multiply
        block = canonical(sparse.csr_array(block)) if sparse.issparse(block) else np.asarray(block)
        require_finite(block, name=name)
        if nonnegative:
            require_nonnegative(block, name=name)
        yield rows, block


def whole(x: Any, *, name: str, nonnegative: bool = True) -> sparse.csr_matrix:
    """Return a matrix of any kind as CSR in memory, checked as by :func:`row_blocks`."""
    blocks = [sparse.csr_matrix(block) for _, block in row_blocks(x, name=name, nonnegative=nonnegative)]
    return sparse.csr_matrix(sparse.vstack(blocks))


def take_rows(x: Any, rows: np.ndarray) -> sparse.csr_matrix:
    """Return some rows of a matrix of any kind, in the order asked for, as float32 CSR."""
    if in_memory(x):  # as canonical as `x` is: this is called for every step of training
        return sparse.csr_matrix(x[rows], dtype=np.float32)
    order = np.argsort(rows, kind="stable")  # files are read in order
    block = x[rows[order]]
    block = block.compute() if hasattr(block, "dask") else block
    return canonical(sparse.csr_matrix(block[np.argsort(order, kind="stable")], dtype=np.float32))
