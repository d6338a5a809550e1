"""From text to vectors: one file per kind of encoder, and `get_encoder` to choose one."""

from __future__ import annotations

from .base import Encoder
from .get import get_encoder

__all__ = ["Encoder", "get_encoder"]
