"""Negative binomial likelihood."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import Likelihood
from .observed import Chunk

__all__ = ["NB"]

# exp(±7): beyond it the distribution is a Poisson (or one lump at zero) to float32 precision.
_LOG_DISPERSION_BOUND = 7.0


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
        zero_cost, slope_mean, slope_dispersion = nb_at_zero(values["mean"], values["dispersion"])
        nll = zero_cost.sum() + add_nonzeros(values, chunk, slope_mean, slope_dispersion)
        return nll, {"mean": slope_mean, "dispersion": slope_dispersion}


def nb_at_zero(eta: Tensor, log_theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Return :math:`u = -\log p(0) = \theta \log(1 + \mu/\theta)` and its slopes in η and log θ."""
    inside = log_theta.abs() < _LOG_DISPERSION_BOUND
    log_theta = log_theta.clamp(-_LOG_DISPERSION_BOUND, _LOG_DISPERSION_BOUND)
    theta, t = log_theta.exp(), eta - log_theta
    cost = F.softplus(t).mul_(theta)
    slope_mean = torch.sigmoid(t).mul_(theta)
    slope_dispersion = cost - slope_mean
    return cost, slope_mean, slope_dispersion if inside.all() else slope_dispersion.mul_(inside)


def add_nonzeros(values: dict[str, Tensor], chunk: Chunk, slope_mean: Tensor, slope_dispersion: Tensor) -> Tensor:
    """Return what non-zero counts add to the cost at zero; add their slopes in place."""
    x, eta = chunk.values, values["mean"].reshape(-1)[chunk.flat]
    raw = values["dispersion"]
    # What depends on θ alone is computed once per gene where θ is the gene's
    where, raw = (chunk.genes, raw) if raw.ndim == 1 else (slice(None), raw.reshape(-1)[chunk.flat])
    log_theta = raw.clamp(-_LOG_DISPERSION_BOUND, _LOG_DISPERSION_BOUND)
    at_theta = (log_theta, torch.lgamma(log_theta.exp()), torch.digamma(log_theta.exp()))
    inside = (raw.abs() < _LOG_DISPERSION_BOUND)[where]
    log_theta, log_gamma_theta, digamma_theta = (value[where] for value in at_theta)
    theta, t = log_theta.exp(), eta - log_theta
    rest = x * torch.sigmoid(-t)  # x θ / (θ + μ)
    slope_mean.view(-1).index_add_(0, chunk.flat, -rest)
    gamma_slope = theta * (torch.digamma(x + theta) - digamma_theta)
    slope_dispersion.view(-1).index_add_(0, chunk.flat, (rest - gamma_slope) * inside)
    log_coefficient = torch.lgamma(x + theta) - log_gamma_theta - torch.lgamma(x + 1)
    return -(log_coefficient + x * F.logsigmoid(t)).sum()
