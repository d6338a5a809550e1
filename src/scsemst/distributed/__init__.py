"""Training by several processes, each of which holds a part of the data."""

from .output import working_file
from .source import open_slice, prepare
from .train import SharedTrained, train_shared
from .world import World, join

__all__ = ["SharedTrained", "World", "join", "open_slice", "prepare", "train_shared", "working_file"]
