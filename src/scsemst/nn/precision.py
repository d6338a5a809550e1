"""What stays in float32 when the rest of the network does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

__all__ = ["full_precision"]

F = TypeVar("F", bound=Callable[..., Any])

_HALF = (torch.bfloat16, torch.float16)


def full_precision(method: F) -> F:
    """Make a method of tensors compute outside of :class:`torch.autocast`, half-precision arguments cast to float32.

    For products with sparse matrices, for which half precision does not exist on every device, and for losses, whose
    sums over spots and genes need more digits than it has.
    """

    @wraps(method)
    def inner(self: Any, *args: Any, **kwargs: Any) -> Any:
        device = next(v.device.type for v in (*args, *kwargs.values()) if isinstance(v, Tensor))
        with torch.autocast(device, enabled=False):
            return method(self, *map(_single, args), **{name: _single(value) for name, value in kwargs.items()})

    return cast("F", inner)


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in _HALF else value
