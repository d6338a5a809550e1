"""Some rows of a matrix, addressed as in the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from scsemst._chunks import take_rows
from scsemst.training.expression import take_columns

__all__ = ["Rows", "read_dense", "read_sparse"]

_BLOCK = 16_384


@dataclass(frozen=True)
class Rows:
    """The rows of a matrix that this process holds."""

    held: np.ndarray
    """Which, ascending."""
    values: Any
    """One row for each of them."""
    n_rows: int
    """Of the whole matrix."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the whole matrix."""
        return self.n_rows, self.values.shape[1]

    @property
    def nbytes(self) -> int:
        """What is held."""
        v = self.values
        return v.data.nbytes + v.indices.nbytes + v.indptr.nbytes if sparse.issparse(v) else v.nbytes

    def __getitem__(self, rows: np.ndarray) -> Any:
        found = np.searchsorted(self.held, rows)
        if not np.array_equal(self.held[np.minimum(found, self.held.size - 1)], rows):
            raise IndexError("These rows are held by another process.")
        return self.values[found]


def read_sparse(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> Rows:
    """Read some rows and columns of a matrix on disk, block by block; `rows` ascend."""
    parts = [take_columns(take_rows(matrix, rows[i : i + _BLOCK]), columns) for i in range(0, rows.size, _BLOCK)]
    parts = parts or [sparse.csr_matrix((0, columns.size), dtype=np.float32)]
    return Rows(rows, sparse.vstack(parts, format="csr"), matrix.shape[0])


def read_dense(matrix: Any, rows: np.ndarray) -> Rows:
    """Read some rows of an array on disk, block by block; `rows` ascend."""
    values = np.empty((rows.size, matrix.shape[1]), dtype=np.float32)
    for start in range(0, matrix.shape[0], _BLOCK):
        first, last = np.searchsorted(rows, (start, start + _BLOCK))
        if first < last:
            values[first:last] = np.asarray(matrix[start : start + _BLOCK])[rows[first:last] - start]
    return Rows(rows, values, matrix.shape[0])
