"""Preprocessing: gene and spot semantics."""

from ._gene_semantics import gene_semantics

__all__ = ["gene_semantics"]
