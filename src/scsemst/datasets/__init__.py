"""Real data that ships with the package."""

from ._dlpfc import dlpfc
from ._gene_info import gene_info

__all__ = ["dlpfc", "gene_info"]
