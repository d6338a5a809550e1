"""Observed expression, cut into chunks of spots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["Chunk", "Observed", "Tally"]

# Values of a chunk on a GPU, which idles over fewer: 32 MB for each temporary.
_GPU_VALUES = 2**23


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


@dataclass(frozen=True)
class Tally:
    """How often each gene has each value: far fewer pairs than non-zeros, as most counts are small."""

    genes: Tensor
    """Gene of each pair, shape `(n_pairs,)`."""
    values: Tensor
    """Value of each pair, shape `(n_pairs,)`."""
    times: Tensor
    """Number of spots with that value of that gene, shape `(n_pairs,)`."""


class Observed:
    """Sparse observations, spots × genes, that a likelihood reads chunk by chunk.

    Parameters
    ----------
    matrix
        Shape `(n_spots, n_genes)`.
    chunk_size
        Spots per chunk. Temporaries take `chunk_size × n_genes` values, whatever the number of spots. On a GPU, chunks
        are as large as makes eight million values.
    dtype
        Of the values.
    """

    def __init__(self, matrix: sparse.csr_matrix, *, chunk_size: int = 128, dtype: torch.dtype = torch.float32) -> None:
        matrix = sparse.csr_matrix(matrix, copy=True)  # the caller's own keeps its zeros
        matrix.eliminate_zeros()
        self.shape = matrix.shape
        self.indptr = matrix.indptr
        self.genes = torch.tensor(matrix.indices, dtype=torch.int64)
        self.values = torch.tensor(matrix.data, dtype=dtype)
        self._cut(chunk_size)

    def _cut(self, chunk_size: int) -> None:
        """Set where chunks begin, and each non-zero's position in its own."""
        self.chunk_size = chunk_size
        row_in_chunk = np.repeat(np.arange(self.shape[0]) % chunk_size, np.diff(self.indptr))
        self.flat = torch.tensor(row_in_chunk * self.shape[1]).to(self.genes.device).add_(self.genes)

    @cached_property
    def tally(self) -> Tally:
        """Non-zeros by gene and value."""
        if not self.values.numel() or (self.values != self.values.floor()).any():  # pseudo-counts rarely meet again
            return Tally(self.genes, self.values, torch.ones_like(self.values))
        span = int(self.values.max()) + 1
        pairs = self.genes * span + self.values.long()
        if self.shape[1] * span <= 2 * pairs.numel():  # counting takes a third of the time of sorting
            times = torch.bincount(pairs)
            pairs = times.nonzero()[:, 0]
            times = times[pairs]
        else:
            pairs, times = torch.unique(pairs, return_counts=True)
        return Tally(pairs // span, (pairs % span).to(self.values), times.to(self.values))

    def to(self, device: torch.device | str) -> Observed:
        """Move to a device, in place."""
        self.genes, self.values = self.genes.to(device), self.values.to(device)
        self.__dict__.pop("tally", None)
        if self.genes.is_cuda:
            self._cut(max(self.chunk_size, _GPU_VALUES // max(self.shape[1], 1)))
        else:
            self.flat = self.flat.to(device)
        return self

    def __iter__(self) -> Iterator[Chunk]:
        n = self.shape[0]
        for start in range(0, n, self.chunk_size):
            stop = min(start + self.chunk_size, n)
            nz = slice(self.indptr[start], self.indptr[stop])
            yield Chunk(slice(start, stop), self.flat[nz], self.genes[nz], self.values[nz])

    def __repr__(self) -> str:
        return f"Observed(shape={tuple(self.shape)}, nnz={self.values.numel()}, chunk_size={self.chunk_size})"
