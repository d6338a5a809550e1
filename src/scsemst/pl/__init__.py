"""Plots."""

from ._abundance import abundance
from ._domain_genes import domain_genes
from ._domains import domains
from ._modulation import modulation
from ._n_domains import n_domains
from ._semantics import semantics
from ._training import training

__all__ = ["abundance", "domain_genes", "domains", "modulation", "n_domains", "semantics", "training"]
