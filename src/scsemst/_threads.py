"""The number of torch's threads, which shows in the last digit of what it adds up."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["keep_torch_threads"]


@contextmanager
def keep_torch_threads() -> Iterator[None]:
    """Give torch back its number of threads, which numba, behind scanpy's and pynndescent's loops, sets to its own."""
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)
