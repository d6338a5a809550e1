"""What to do when a device runs out of memory."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from .batches import BATCH_SIZE

__all__ = ["FEWEST_SPOTS", "shrinking"]

T = TypeVar("T")

FEWEST_SPOTS = 256
"""Of a batch; smaller ones would be little but surroundings."""


def shrinking(
    attempt: Callable[[int], T], batch_size: int, n_spots: int, *, discard: Callable[[int], None] | None = None
) -> T:
    """Call with a batch size, and again with smaller ones as long as the device's memory is too small.

    From more than 8192 spots to 8192, from there by half; a warning names the size that is tried next.

    Parameters
    ----------
    attempt
        Gives the same result whether it failed with other sizes before or not.
    batch_size
        To begin with.
    n_spots
        In all.
    discard
        Called with the new size before each further attempt.

    Raises
    ------
    torch.OutOfMemoryError
        If not even 256 spots fit.
    """
    size = min(batch_size, n_spots)
    while True:
        try:
            # As asked for, unless that did not fit: a size above the number of spots is recorded as it is
            return attempt(batch_size)
        except torch.OutOfMemoryError:
            smaller = BATCH_SIZE if size > BATCH_SIZE else size // 2
            if smaller < FEWEST_SPOTS:
                raise
        # Not in the handler: its exception holds on to what filled the memory
        warnings.warn(
            f"The device has too little memory for batches of {size} spots: it starts again with batch_size={smaller}.",
            stacklevel=2,
        )
        gc.collect()  # what failed holds on to itself, in a circle
        torch.cuda.empty_cache()
        batch_size = size = smaller
        if discard is not None:
            discard(size)
