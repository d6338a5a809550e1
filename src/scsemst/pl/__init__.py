"""Plots."""

from ._abundance import abundance
from ._domain_genes import domain_genes
from ._domains import domains
from ._semantics import semantics
from ._training import training

__all__ = ["abundance", "domain_genes", "domains", "semantics", "training"]
