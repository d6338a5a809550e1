"""Spatial domains from gene meaning, in scanpy's `pp` / `tl` / `pl` manner."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, metrics, nn, pl, pp, tl
    from ._model import SemST
    from ._settings import settings

__all__ = ["SemST", "datasets", "metrics", "nn", "pl", "pp", "settings", "tl"]
__version__ = version("scsemst")

_SUBMODULES = frozenset({"datasets", "metrics", "nn", "pl", "pp", "tl"})


def __getattr__(name: str) -> Any:
    # Loaded on first use: `import scsemst` must not pay for torch, transformers or squidpy.
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name == "settings":
        return import_module(f"{__name__}._settings").settings
    if name == "SemST":
        return import_module(f"{__name__}._model").SemST
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
