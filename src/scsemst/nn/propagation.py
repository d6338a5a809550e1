"""Products with sparse matrices whose backward pass reuses a stored matrix."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .precision import full_precision

__all__ = ["SparseInput", "SpotGraph", "to_torch_csr"]


def to_torch_csr(matrix: sparse.csr_matrix | sparse.csr_array) -> Tensor:
    """Copy a scipy CSR matrix to a float32 torch CSR tensor."""
    matrix = sparse.csr_matrix(matrix)
    index = torch.int32 if matrix.nnz < np.iinfo(np.int32).max else torch.int64
    with warnings.catch_warnings():
        # torch announces once per process that CSR is in beta and that invariants go unchecked: scipy checked them
        warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
        return torch.sparse_csr_tensor(
            torch.tensor(matrix.indptr, dtype=index),
            torch.tensor(matrix.indices, dtype=index),
            torch.tensor(matrix.data, dtype=torch.float32),
            size=matrix.shape,
        )


class _Product(torch.autograd.Function):
    """`matrix @ x`, with `transpose @ grad` as its backward pass."""

    @staticmethod
    def forward(ctx, matrix: Tensor, transpose: Tensor, x: Tensor) -> Tensor:
        ctx.transpose = transpose
        return matrix @ x

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transpose @ grad.contiguous()


class SparseInput:
    """Sparse features, spots × genes, that a linear layer reads without densifying them.

    Parameters
    ----------
    matrix
        Expression, shape `(n_spots, n_genes)`.
    gene_mixing
        Square matrix :math:`M` over genes: the layer reads :math:`X M`. The product is never formed, :math:`M W` is.
    """

    def __init__(self, matrix: sparse.csr_matrix, gene_mixing: sparse.csr_matrix | None = None) -> None:
        self.shape = matrix.shape
        self._factors = [
            (to_torch_csr(factor), to_torch_csr(factor.T.tocsr()))
            for factor in (gene_mixing, matrix)
            if factor is not None
        ]

    def to(self, device: torch.device | str) -> SparseInput:
        """Move to a device, in place."""
        self._factors = [(factor.to(device), transpose.to(device)) for factor, transpose in self._factors]
        return self

    @full_precision
    def __matmul__(self, weight: Tensor) -> Tensor:
        for factor, transpose in self._factors:
            weight = _Product.apply(factor, transpose, weight)
        return weight

    def __repr__(self) -> str:
        return f"SparseInput(shape={tuple(self.shape)}, nnz={self._factors[-1][0].values().numel()})"


class SpotGraph:
    r"""A normalised undirected graph between spots, with self-loops.

    Multiplying by it averages each spot with its neighbours. With :math:`\tilde A = A + I` and
    :math:`D` the diagonal of its row sums, `normalization="sym"` is :math:`D^{-1/2} \tilde A D^{-1/2}`
    (Kipf & Welling, 2017) and `"row"` is :math:`D^{-1} \tilde A`. Either way only the symmetric
    :math:`\tilde A` is stored: the backward pass reuses it between two diagonal scalings.

    Parameters
    ----------
    adjacency
        Symmetric, non-negative, shape `(n_spots, n_spots)`.
    normalization
        `"row"` keeps constants constant whatever the degree, `"sym"` is the paper's.
    degree
        Row sums of :math:`\tilde A`, shape `(n_spots,)`, where they differ from those of `adjacency` because it is a
        part of a larger graph.
    """

    def __init__(
        self, adjacency: sparse.csr_matrix, *, normalization: str = "row", degree: np.ndarray | None = None
    ) -> None:
        if normalization not in {"row", "sym"}:
            raise ValueError(f"normalization={normalization!r} is not one of 'row', 'sym'.")
        n = adjacency.shape[0]
        looped = sparse.csr_matrix(adjacency + sparse.eye(n, format="csr", dtype=np.float32))
        if degree is None:
            degree = np.asarray(looped.sum(axis=1)).ravel()
        inverse = torch.tensor(1.0 / degree, dtype=torch.float32)[:, None]
        self.normalization = normalization
        self.matrix = to_torch_csr(looped)
        self.scale = inverse if normalization == "row" else inverse.sqrt()

    def to(self, device: torch.device | str) -> SpotGraph:
        """Move to a device, in place."""
        self.matrix, self.scale = self.matrix.to(device), self.scale.to(device)
        return self

    @full_precision
    def __matmul__(self, x: Tensor) -> Tensor:
        if self.normalization == "sym":
            x = x * self.scale
        return _Product.apply(self.matrix, self.matrix, x) * self.scale

    def __repr__(self) -> str:
        n = self.matrix.shape[0]
        return f"SpotGraph(n_spots={n}, nnz={self.matrix.values().numel()}, normalization={self.normalization!r})"
