"""Poisson likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Likelihood
from .observed import Chunk

__all__ = ["Poisson"]

# exp(15) counts of one gene in one spot: larger rates only occur when training diverges.
_LOG_RATE_BOUND = 15.0


class Poisson(Likelihood):
    r"""Poisson with mean :math:`\mu = \ell\, e^{\eta}`, :math:`\ell` the spot's library size."""

    def terms(self, values: dict[str, Tensor], chunk: Chunk) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the summed negative log-likelihood of a chunk and its gradient."""
        eta, x = values["mean"].clamp(max=_LOG_RATE_BOUND), chunk.values
        slope = eta.exp()
        nll = slope.sum() - (x * eta.view(-1)[chunk.flat]).sum() + torch.lgamma(x + 1).sum()
        slope.view(-1).index_add_(0, chunk.flat, -x)
        return nll, {"mean": slope}
