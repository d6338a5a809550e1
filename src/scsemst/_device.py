"""Where to train."""

from __future__ import annotations

import warnings

import torch

__all__ = ["resolve_device"]


def resolve_device(device: str) -> torch.device:
    """Return the device that a name stands for; the CPU, with a warning, for Apple GPUs.

    Raises
    ------
    ValueError
        If torch does not know the name, or this machine does not have the device.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device == "mps":
        warnings.warn(
            'device="mps": torch has no products with sparse matrices for Apple GPUs, and graph convolutions consist of '
            "them. Training runs on the CPU.",
            stacklevel=2,
        )
        return torch.device("cpu")
    if device == "auto":
        return torch.device("cuda" if "cuda" in available else "cpu")
    if device not in available:
        raise ValueError(
            f"device={device!r} is not available here (available: 'auto', {', '.join(map(repr, available))})."
        )
    return torch.device(device)
