"""Real data that ships with the package."""

from ._dlpfc import dlpfc

__all__ = ["dlpfc"]
