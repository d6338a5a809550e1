"""Tools: the SemST model and domains."""

from ._domains import domains

__all__ = ["domains"]
