"""Zero-inflated negative binomial likelihood."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .nb import NB, NBAtZero, add_nonzeros, fast_exp
from .observed import Chunk

__all__ = ["ZINB"]

_LOGIT_BOUND = 20.0  # beyond it 1 - π is 1 to float32 precision


class ZINB(NB):
    r"""Negative binomial with extra zeros.

    .. math:: p(x) = \pi\, [x = 0] + (1-\pi)\, \mathrm{NB}(x;\, \mu, \theta)

    (Eraslan et al., 2019, DCA). Heads give :math:`\eta = \log(\mu/\ell)` with :math:`\ell` the spot's library size and,
    per gene or per spot, :math:`\log\theta` and the logit of :math:`\pi`.
    """

    others: ClassVar[tuple[str, ...]] = ("dispersion", "dropout")

    def reset_parameters(self) -> None:
        """Draw new weights; dropout per gene starts at 5 %."""
        super().reset_parameters()
        if "dropout" in self.per_gene:
            torch.nn.init.constant_(self.per_gene["dropout"], -3.0)

    def terms(self, values: dict[str, Tensor], chunk: Chunk) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the summed negative log-likelihood of a chunk and its gradient."""
        kept = values["dropout"].neg().clamp_(max=_LOGIT_BOUND)  # logit of 1 - π
        zero = NBAtZero(values["mean"], values["dispersion"])
        # -log p(0) = softplus(kept) - softplus(v), v = kept + log NB(0). A non-zero cannot be a dropout: there
        # softplus(v) becomes v, and its slope becomes 1.
        v = torch.addcmul(kept, zero.theta, zero.log_odds, value=-1)
        at_nonzeros = F.softplus(-v.view(-1).index_select(0, chunk.flat)).sum()  # softplus(v) - v
        odds = fast_exp(v)
        total = odds + 1
        log_zero = _sum_of_logs(total)
        share = total.reciprocal_().mul_(odds)
        share.view(-1).index_fill_(0, chunk.flat, 1.0)
        slopes = zero.slopes(share)
        # Terms of the dropout alone are alike for all spots where it is the gene's
        n = share.shape[0]
        if kept.ndim == 1:
            cost, slopes["dropout"] = n * F.softplus(kept).sum(), share.sum(dim=0) - n * torch.sigmoid(kept)
        else:
            cost, slopes["dropout"] = F.softplus(kept).sum(), share - torch.sigmoid(kept)
        nll = cost - log_zero + at_nonzeros
        return nll + add_nonzeros(values["dispersion"], zero.t, chunk, slopes), slopes


def _sum_of_logs(x: Tensor) -> Tensor:
    """Return the sum of the logarithms of numbers from 1 to 1 + exp(20), of four at a time: they fit a float32."""
    x = x.view(-1)
    for _ in range(2):
        if x.numel() % 2 == 0:
            first, second = x.chunk(2)
            x = first * second
    return x.log().sum()
