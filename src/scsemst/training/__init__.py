"""Training of the model."""

from scsemst._device import resolve_device

from .history import History
from .presets import PRESETS, Preset
from .record import run_record, seed_record
from .train import Trained, override, train

__all__ = [
    "PRESETS",
    "History",
    "Preset",
    "Trained",
    "override",
    "resolve_device",
    "run_record",
    "seed_record",
    "train",
]
