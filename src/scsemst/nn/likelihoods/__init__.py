"""Likelihoods of expression, one class each with the same interface."""

from .base import Likelihood
from .gaussian import Gaussian
from .nb import NB
from .observed import Chunk, Observed
from .poisson import Poisson
from .zinb import ZINB

__all__ = ["NB", "ZINB", "Chunk", "Gaussian", "Likelihood", "Observed", "Poisson"]
