"""Neighbour loss: spatial neighbours alike, all other pairs unlike, in time linear in spots."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .precision import full_precision

__all__ = ["NeighborLoss"]


class NeighborLoss(nn.Module):
    r"""Make spatial neighbours similar and all other pairs dissimilar.

    With :math:`c_{ij}` the cosine similarity of spots *i* and *j*, :math:`\sigma` the logistic function and
    :math:`E` the ordered pairs of neighbours,

    .. math:: L = -\frac{1}{2N^2}\Big[\sum_{(i,j) \in E} \log\sigma(c_{ij})
              + \sum_{(i,j) \notin E} \log\big(1 - \sigma(c_{ij})\big)\Big]

    (Long et al., 2025, arXiv:2511.11380; first used by Wang et al., 2023, Spatial-MGCN). The sum over all pairs is never
    formed: on :math:`[-1, 1]`, :math:`-\log(1-\sigma(c)) = \log(1 + e^c) \approx \log 2 + c/2 + c^2/8` within 0.005,
    :math:`\sum_{ij} c_{ij} = |\sum_i z_i|^2` and :math:`\sum_{ij} c_{ij}^2 = \|Z^\top Z\|_F^2` for unit rows
    :math:`z_i`. Time is :math:`O(N d^2 + |E| d)`, memory :math:`O(N d)`.

    Parameters
    ----------
    exact
        Form all pairs instead: quadratic in spots, for tests and a few thousand spots only.
    balanced
        Divide the sum over neighbours by :math:`2|E|` instead of :math:`2N^2`, so that neighbours weigh as
        much as all other pairs together, however many spots there are.
    """

    def __init__(self, *, exact: bool = False, balanced: bool = False) -> None:
        super().__init__()
        self.exact = exact
        self.balanced = balanced

    @full_precision
    def forward(self, z: Tensor, edge_index: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Parameters
        ----------
        z
            Latent vectors, shape `(n_spots, n_latent)`.
        edge_index
            Ordered pairs of neighbours, each pair in both directions, shape `(2, n_edges)`. Sorted by the first they need
            not be sorted for each gradient.
        """
        z = F.normalize(z, dim=1, eps=1e-8)
        n, n_edges = z.shape[0], max(edge_index.shape[1], 1)
        similarity = _EdgeSimilarity.apply(z, edge_index)
        positive = F.softplus(-similarity).sum()
        # The pairs that are neighbours do not belong to the sum over all others.
        if self.exact:
            negative = F.softplus(z @ z.T).sum() - F.softplus(similarity).sum()
        else:
            negative = _all_pairs(z) - (math.log(2) + similarity / 2 + similarity.square() / 8).sum()
        weight = n * n / n_edges if self.balanced else 1.0
        return (weight * positive + negative) / (2 * n * n)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(exact={self.exact}, balanced={self.balanced})"


def _all_pairs(z: Tensor) -> Tensor:
    """Sum log 2 + c/2 + c²/8 over all ordered pairs of unit rows."""
    n = z.shape[0]
    return n * n * math.log(2) + z.sum(dim=0).square().sum() / 2 + (z.T @ z).square().sum() / 8


class _EdgeSimilarity(torch.autograd.Function):
    """Dot product of the two ends of each edge.

    The gradient is a sparse product, since scattering it to the edges' ends with several threads would add in an order
    that changes from run to run.
    """

    @staticmethod
    def forward(ctx, z: Tensor, edge_index: Tensor) -> Tensor:
        ctx.save_for_backward(z, edge_index)
        return (z[edge_index[0]] * z[edge_index[1]]).sum(dim=1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        z, (rows, columns) = ctx.saved_tensors
        n = z.shape[0]
        if (rows[1:] < rows[:-1]).any():
            order = torch.argsort(rows, stable=True)
            rows, columns, grad = rows[order], columns[order], grad[order]
        indptr = torch.zeros(n + 1, dtype=torch.long, device=z.device)
        indptr[1:] = torch.bincount(rows, minlength=n).cumsum(0)
        # Every edge stands in both directions with the same gradient: the matrix is its own transpose.
        both = torch.sparse_csr_tensor(indptr, columns, grad.contiguous(), size=(n, n), check_invariants=False)
        return 2 * (both @ z), None
