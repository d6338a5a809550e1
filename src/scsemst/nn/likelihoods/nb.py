"""Negative binomial likelihood."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Likelihood
from .observed import Chunk, Observed

__all__ = ["NB", "NBAtZero", "add_nonzeros", "fast_exp"]

# exp(±7): beyond it the distribution is a Poisson (or one lump at zero) to float32 precision.
_LOG_DISPERSION_BOUND = 7.0
_LOG_ODDS_BOUND = 80.0  # exp of it is a float32 still; a mean beyond it only occurs when training diverges


class NB(Likelihood):
    r"""Negative binomial with mean :math:`\mu` and inverse dispersion :math:`\theta`.

    .. math:: p(x) = \frac{\Gamma(x+\theta)}{\Gamma(\theta)\, x!}
              \Big(\frac{\theta}{\theta+\mu}\Big)^{\theta} \Big(\frac{\mu}{\theta+\mu}\Big)^{x},
              \qquad \mu = \ell\, e^{\eta}

    with :math:`\ell` the spot's library size. Heads give :math:`\eta` and, per gene or per spot, :math:`\log\theta`.
    """

    others: ClassVar[tuple[str, ...]] = ("dispersion",)

    def terms(self, values: dict[str, Tensor], chunk: Chunk) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the summed negative log-likelihood of a chunk and its gradient."""
        zero = NBAtZero(values["mean"], values["dispersion"])
        nll = (zero.theta * zero.log_odds).sum()
        slopes = zero.slopes()
        return nll + add_nonzeros(values["dispersion"], zero.t, chunk, slopes), slopes

    def gene_terms(self, per_gene: dict[str, Tensor], observed: Observed) -> tuple[Tensor | float, dict[str, Tensor]]:
        r"""Return :math:`-\sum \log \Gamma(x+\theta) / (\Gamma(\theta)\, x!)` over non-zeros, and its slope in log θ.

        With a gene's θ it is the same for all spots that have the same count of a gene, and taken once for them.
        """
        if "dispersion" not in per_gene:
            return 0.0, {}
        raw, tally = per_gene["dispersion"], observed.tally
        gamma, gamma_slope, _ = _gamma(raw.index_select(0, tally.genes), tally.values)
        slope = _sum_into(torch.zeros_like(raw), tally.genes, tally.times * gamma_slope)
        return (tally.times * gamma).sum(), {"dispersion": slope}


class NBAtZero:
    r"""The negative binomial at a count of zero, :math:`-\log p(0) = \theta \log(1 + \mu/\theta)`, for spots × genes.

    Each array is passed over as seldom as possible: at a few per cent of non-zeros, this is what an epoch consists of.

    Parameters
    ----------
    eta
        Log mean, shape `(n_spots, n_genes)`.
    log_theta
        Log inverse dispersion, of that shape or `(n_genes,)`.
    """

    def __init__(self, eta: Tensor, log_theta: Tensor) -> None:
        self.raw = log_theta
        log_theta = log_theta.clamp(-_LOG_DISPERSION_BOUND, _LOG_DISPERSION_BOUND)
        self.theta = log_theta.exp()
        self.t = eta - log_theta
        """log(μ/θ), shape `(n_spots, n_genes)`."""
        self.odds = fast_exp(self.t.clamp(max=_LOG_ODDS_BOUND))
        """μ/θ, shape `(n_spots, n_genes)`."""
        self.log_odds = self.odds.log1p()
        """log(1 + μ/θ), shape `(n_spots, n_genes)`."""

    def slopes(self, share: Tensor | None = None) -> dict[str, Tensor]:
        """Return the slopes in η and log θ, each spot and gene weighted by `share`; overwrites the arrays."""
        slope = (self.odds + 1).reciprocal_().mul_(self.odds)
        if share is not None:
            slope.mul_(share)
            self.log_odds.mul_(share)
        # A gene's parameter needs sums over spots only
        if self.raw.ndim == 1:
            dispersion = self.log_odds.sum(dim=0) - slope.sum(dim=0)
        else:
            dispersion = self.log_odds.sub_(slope)
        inside = self.raw.abs() < _LOG_DISPERSION_BOUND
        return {"mean": slope.mul_(self.theta), "dispersion": dispersion.mul_(self.theta).mul_(inside)}


def fast_exp(x: Tensor) -> Tensor:
    """Return exp(x), overwriting x: torch's power of two takes a third of the time of its exponential."""
    return x.mul_(1.0 / math.log(2.0)).exp2_()


def add_nonzeros(raw: Tensor, t: Tensor, chunk: Chunk, slopes: dict[str, Tensor]) -> Tensor:
    """Return what non-zero counts add to the cost at zero; add their slopes in place.

    Without :meth:`NB.gene_terms` where the dispersion is the gene's.

    Parameters
    ----------
    raw
        Log dispersion as the head gives it, shape `(n_spots, n_genes)` or `(n_genes,)`.
    t
        log(μ/θ), shape `(n_spots, n_genes)`.
    """
    x, t = chunk.values, t.view(-1).index_select(0, chunk.flat)
    rest = x * torch.sigmoid(-t)  # x θ / (θ + μ)
    nll = (x * F.softplus(-t)).sum()
    slopes["mean"].view(-1).index_add_(0, chunk.flat, rest, alpha=-1)
    if raw.ndim == 1:
        inside = (raw.abs() < _LOG_DISPERSION_BOUND).index_select(0, chunk.genes)
        _sum_into(slopes["dispersion"], chunk.genes, rest * inside)
        return nll
    gamma, gamma_slope, inside = _gamma(raw.view(-1).index_select(0, chunk.flat), x)
    slopes["dispersion"].view(-1).index_add_(0, chunk.flat, rest * inside + gamma_slope)
    return nll + gamma.sum()


def _sum_into(sums: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """Add values to the sums they belong to, in the same order each time."""
    if sums.is_cuda:  # `index_add_` repeats on the CPU only, and `index_put_` on a GPU only
        return sums.index_put_((index,), values, accumulate=True)
    return sums.index_add_(0, index, values)


def _gamma(raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cost of the gamma functions, its slope in the raw dispersion, and where that is within its bounds."""
    theta = raw.clamp(-_LOG_DISPERSION_BOUND, _LOG_DISPERSION_BOUND).exp()
    inside = raw.abs() < _LOG_DISPERSION_BOUND
    cost = torch.lgamma(theta) + torch.lgamma(x + 1) - torch.lgamma(x + theta)
    return cost, theta * (torch.digamma(theta) - torch.digamma(x + theta)) * inside, inside
