"""Preprocessing: gene and spot semantics."""

from ._gene_semantics import gene_semantics
from ._spot_semantics import spot_semantics

__all__ = ["gene_semantics", "spot_semantics"]
