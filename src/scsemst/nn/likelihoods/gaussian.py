"""Gaussian likelihood, for normalised data."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from .base import Likelihood
from .observed import Chunk

__all__ = ["Gaussian"]


class Gaussian(Likelihood):
    r"""Normal with mean :math:`\eta` and one standard deviation per gene, for data that are not counts."""

    others: ClassVar[tuple[str, ...]] = ("log_scale",)
    library_offset: ClassVar[bool] = False

    def terms(self, values: dict[str, Tensor], chunk: Chunk) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the summed negative log-likelihood of a chunk and its gradient."""
        mean, log_scale, x = values["mean"], values["log_scale"], chunk.values
        precision = (-2 * log_scale).exp()
        # (x - m)² is m² at zeros; non-zeros add x² - 2 x m.
        squared, slope = mean.square(), mean.clone()
        squared.view(-1).index_add_(0, chunk.flat, x * (x - 2 * mean.reshape(-1)[chunk.flat]))
        slope.view(-1).index_add_(0, chunk.flat, -x)
        squared *= precision
        nll = (squared / 2 + log_scale).sum() + mean.numel() * math.log(2 * math.pi) / 2
        return nll, {"mean": slope * precision, "log_scale": 1 - squared}
