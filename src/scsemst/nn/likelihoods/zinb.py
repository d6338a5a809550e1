"""Zero-inflated negative binomial likelihood."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Likelihood
from .nb import add_nonzeros, nb_at_zero
from .observed import Chunk

__all__ = ["ZINB"]


class ZINB(Likelihood):
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
        kept = -values["dropout"]  # logit of 1 - π
        zero_cost, slope_mean, slope_dispersion = nb_at_zero(values["mean"], values["dispersion"])
        # -log p(0) = softplus(kept) - softplus(v), v = kept - u. A non-zero cannot be a dropout: there
        # softplus(v) becomes v, and its slope becomes 1.
        v = kept - zero_cost
        log_zero, share = F.softplus(v).view(-1), torch.sigmoid(v).view(-1)
        log_zero[chunk.flat] = v.view(-1)[chunk.flat]
        share[chunk.flat] = 1.0
        share = share.view_as(v)
        slope_mean *= share
        slope_dispersion *= share
        # Terms of the dropout alone are alike for all spots where it is the gene's
        n_alike = v.shape[0] if kept.ndim == 1 else 1
        nll = n_alike * F.softplus(kept).sum() - log_zero.sum()
        nll = nll + add_nonzeros(values, chunk, slope_mean, slope_dispersion)
        return nll, {"mean": slope_mean, "dispersion": slope_dispersion, "dropout": share - torch.sigmoid(kept)}
