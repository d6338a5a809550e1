"""How far training has come, kept in a folder, to go on after an interruption."""

from __future__ import annotations

import dataclasses
import logging
import signal
import threading
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scsemst._folders import Format, as_folder, read_folder, remove_folder, require_ours, write_folder

from .history import History
from .loop import Position

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Checkpoint", "named_tensors"]

log = logging.getLogger("scsemst")

CHECKPOINT = Format(
    "scsemst.checkpoint",
    1,
    "checkpoint.json",
    "checkpoint",
    "Delete the folder to train from the start, or pass another checkpoint_dir=.",
)


class Checkpoint:
    """Weights, state of Adam, position and generator of a run, written every few minutes between two steps.

    Used as a context, it holds Ctrl-C back until the step is done, writes, and then raises. A second Ctrl-C is not held
    back. It goes on bit for bit: whatever the run draws and computes afterwards is as without the interruption.

    Parameters
    ----------
    folder
        Made when there is something to write.
    minutes
        Between two writes; zero writes after every step.
    fingerprint
        All that the result of training depends on, by name. A checkpoint with another one is refused.
    batch_size
        Most spots of a step, as it was asked for.
    write
        Whether this process writes: of several that train together, one does.

    Raises
    ------
    ValueError
        If the folder holds a checkpoint of other data or settings, a damaged one, or something else.
    """

    def __init__(
        self, folder: str | Path, minutes: float, fingerprint: dict[str, Any], batch_size: int, *, write: bool = True
    ) -> None:
        self.folder = as_folder(folder, name="checkpoint_dir")
        self.batch_size = batch_size
        self._minutes, self._fingerprint, self._write = minutes, fingerprint, write
        self._last = monotonic()
        self._interrupted = False
        self._handler: Any = None
        self._found = self._read()
        if self._found is not None:
            self.batch_size = self._found[0]["batch_size"]

    def restore(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rng: np.random.Generator) -> Position:
        """Take on what is kept, if anything, and keep the state of these three from now on."""
        self._model, self._optimizer, self._rng = model, optimizer, rng
        if self._found is None:
            return Position()
        (info, tensors), self._found = self._found, None
        try:
            model.load_state_dict(named_tensors(tensors, "model."))
            groups = optimizer.state_dict()["param_groups"]
            adam: dict[int, dict[str, torch.Tensor]] = {}
            for name, tensor in named_tensors(tensors, "adam.").items():
                i, value = name.split(".")
                adam.setdefault(int(i), {})[value] = tensor
            optimizer.load_state_dict({"state": adam, "param_groups": groups})
            rng.bit_generator.state = info["generator"]
            position = _position(**info["position"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} is damaged: {reason}. {CHECKPOINT.fix}"
            ) from error
        log.info("Training goes on from %s, after %s.", self.folder, _where(position))
        return position

    def save(self, position: Position) -> None:
        """Write the state between two steps."""
        self._last = monotonic()
        if not self._write:
            return
        tensors = {f"model.{name}": tensor for name, tensor in self._model.state_dict().items()}
        for i, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{name}": tensor for name, tensor in values.items()}
        info = {
            "versions": {name: version(name) for name in ("torch", "numpy", "scipy")},
            "fingerprint": self._fingerprint,
            "batch_size": self.batch_size,
            "position": dataclasses.asdict(position),
            "generator": self._rng.bit_generator.state,
        }
        write_folder(self.folder, CHECKPOINT, info, {name: t.detach().cpu().numpy() for name, t in tensors.items()})

    def after_step(self, position: Position) -> None:
        """Write if it is time to; if Ctrl-C was pressed, write and raise what it stands for."""
        if self._interrupted:
            self.save(position)
            raise KeyboardInterrupt(
                f"Training stopped after {_where(position)}; the data are unchanged. The same call, with "
                f"checkpoint_dir={str(self.folder)!r}, goes on from there."
            )
        if monotonic() - self._last >= 60 * self._minutes:
            self.save(position)

    def discard(self, batch_size: int) -> None:
        """Forget what is kept: training starts again, with other batches."""
        self.batch_size, self._found = batch_size, None
        self.remove()

    def remove(self) -> None:
        """Remove what was written, and the folder if nothing else is in it."""
        if self._write:
            remove_folder(self.folder, CHECKPOINT)

    def __enter__(self) -> Self:
        self._interrupted = False
        if threading.current_thread() is threading.main_thread():  # signals reach no other
            self._handler = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None

    def _on_interrupt(self, *_: object) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        require_ours(self.folder, CHECKPOINT)
        if not (self.folder / CHECKPOINT.config).exists():
            return None
        try:
            info, tensors = read_folder(self.folder, CHECKPOINT)
        except FileNotFoundError as error:  # of the weights
            raise ValueError(str(error)) from error
        then, now = info.get("fingerprint"), self._fingerprint
        if not isinstance(then, dict) or not isinstance(info.get("batch_size"), int):
            raise ValueError(f"The checkpoint in {str(self.folder)!r} is damaged: no fingerprint. {CHECKPOINT.fix}")
        if differ := [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]:
            what = "; ".join(f"{name} (there {then.get(name)!r}, here {now.get(name)!r})" for name in differ)
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} is of another run. What differs: {what}. {CHECKPOINT.fix}"
            )
        return info, tensors


def named_tensors(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    """Return the arrays whose names begin with a prefix, without it, as tensors."""
    return {name.removeprefix(prefix): torch.tensor(array) for name, array in arrays.items() if name.startswith(prefix)}


def _position(history: dict[str, Any], steps: list[int], **others: Any) -> Position:
    found = History(**history)
    lengths = {len(values) for values in found.terms.values()} or {0}
    if lengths != {found.stopped_epoch} or any(not isinstance(step, int) for step in steps):
        raise ValueError("epochs, losses and steps do not belong together")
    return Position(found, steps, **others)


def _where(position: Position) -> str:
    n = position.history.stopped_epoch
    return f"{n} epoch{'' if n == 1 else 's'}" + (" and a part" if position.steps else "")
