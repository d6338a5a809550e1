"""Observed expression, cut into chunks of spots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["Chunk", "Observed"]


@dataclass(frozen=True)
class Chunk:
    """The non-zeros of consecutive spots."""

    rows: slice
    flat: Tensor
    """Position of each non-zero in the flattened `(n_rows, n_genes)` block, shape `(nnz,)`."""
    genes: Tensor
    """Gene of each non-zero, shape `(nnz,)`."""
    values: Tensor
    """Value of each non-zero, shape `(nnz,)`."""


class Observed:
    """Sparse observations, spots × genes, that a likelihood reads chunk by chunk.

    Parameters
    ----------
    matrix
        Shape `(n_spots, n_genes)`.
    chunk_size
        Spots per chunk. Temporaries take `chunk_size × n_genes` values, whatever the number of spots.
    dtype
        Of the values.
    """

    def __init__(self, matrix: sparse.csr_matrix, *, chunk_size: int = 128, dtype: torch.dtype = torch.float32) -> None:
        matrix = sparse.csr_matrix(matrix)
        matrix.eliminate_zeros()
        self.shape = matrix.shape
        self.chunk_size = chunk_size
        self.indptr = matrix.indptr
        row_in_chunk = np.repeat(np.arange(self.shape[0]) % chunk_size, np.diff(matrix.indptr))
        self.genes = torch.from_numpy(matrix.indices.astype(np.int64))
        self.flat = torch.from_numpy(row_in_chunk * self.shape[1]) + self.genes
        self.values = torch.from_numpy(np.asarray(matrix.data)).to(dtype)

    def to(self, device: torch.device | str) -> Observed:
        """Move to a device, in place."""
        self.genes, self.flat, self.values = (t.to(device) for t in (self.genes, self.flat, self.values))
        return self

    def __iter__(self) -> Iterator[Chunk]:
        n = self.shape[0]
        for start in range(0, n, self.chunk_size):
            stop = min(start + self.chunk_size, n)
            nz = slice(self.indptr[start], self.indptr[stop])
            yield Chunk(slice(start, stop), self.flat[nz], self.genes[nz], self.values[nz])

    def __repr__(self) -> str:
        return f"Observed(shape={tuple(self.shape)}, nnz={self.values.numel()}, chunk_size={self.chunk_size})"
