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
        self.genes = torch.tensor(matrix.indices, dtype=torch.int64)
        self.flat = torch.tensor(row_in_chunk * self.shape[1]).add_(self.genes)
        self.values = torch.tensor(matrix.data, dtype=dtype)

    @cached_property
    def tally(self) -> Tally:
        """Non-zeros by gene and value."""
        genes, values = self.genes.cpu().numpy(), self.values.cpu().numpy()
        if (values != np.floor(values)).any():  # pseudo-counts rarely meet again
            return Tally(self.genes, self.values, torch.ones_like(self.values))
        span = int(values.max(initial=0)) + 1
        pairs, times = np.unique(genes * span + values.astype(np.int64), return_counts=True)
        found = (torch.tensor(pairs // span), torch.tensor(pairs % span), torch.tensor(times))
        return Tally(*(part.to(self.values) if i else part.to(self.genes) for i, part in enumerate(found)))

    def to(self, device: torch.device | str) -> Observed:
        """Move to a device, in place."""
        self.genes, self.flat, self.values = (t.to(device) for t in (self.genes, self.flat, self.values))
        self.__dict__.pop("tally", None)
        return self

    def __iter__(self) -> Iterator[Chunk]:
        n = self.shape[0]
        for start in range(0, n, self.chunk_size):
            stop = min(start + self.chunk_size, n)
            nz = slice(self.indptr[start], self.indptr[stop])
            yield Chunk(slice(start, stop), self.flat[nz], self.genes[nz], self.values[nz])

    def __repr__(self) -> str:
        return f"Observed(shape={tuple(self.shape)}, nnz={self.values.numel()}, chunk_size={self.chunk_size})"
