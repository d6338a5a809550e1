"""Cross-view redundancy reduction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .precision import full_precision

__all__ = ["RedundancyLoss"]


class RedundancyLoss(nn.Module):
    r"""Pull the feature correlation of two views towards the identity.

    .. math:: L = \frac{1}{d^2} \| C - I \|_F^2, \qquad
              C_{kl} = \frac{1}{N} \sum_i \hat h^{(1)}_{ik} \hat h^{(2)}_{il}

    with :math:`\hat h` the features standardised over spots (Zbontar et al., 2021, Barlow Twins; Long et al., 2025,
    arXiv:2511.11380). Time is :math:`O(N d^2)`.
    """

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    @full_precision
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss, a scalar, of two views of shape `(n_spots, n_features)`."""
        correlation = self._standardize(first).T @ self._standardize(second) / first.shape[0]
        identity = torch.eye(correlation.shape[0], device=correlation.device, dtype=correlation.dtype)
        return (correlation - identity).square().mean()

    def _standardize(self, h: Tensor) -> Tensor:
        centred = h - h.mean(dim=0)
        return centred * torch.rsqrt(centred.square().mean(dim=0) + self.eps)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
