"""The training loop, whatever is trained."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from .history import History

if TYPE_CHECKING:
    import torch

    from .checkpoint import Checkpoint

__all__ = ["Position", "optimize"]


@dataclass
class Position:
    """How far training has come: besides weights and generator, all that going on takes."""

    history: History = field(default_factory=History)
    steps: list[int] = field(default_factory=list)
    """Steps that are left in this epoch, in their order; none between epochs."""
    totals: dict[str, float] = field(default_factory=dict)
    """Sum of each term over this epoch's spots so far."""
    n_spots: int = 0
    """Spots of this epoch so far."""

    def add(self, terms: dict[str, float], size: int) -> None:
        """Count the step that was taken, and with the last step of an epoch the epoch."""
        del self.steps[0]
        self.n_spots += size
        for name, value in terms.items():
            self.totals[name] = self.totals.get(name, 0.0) + size * value
        if not self.steps:
            self.history.append({name: total / self.n_spots for name, total in self.totals.items()})
            self.totals, self.n_spots = {}, 0


def optimize(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    gradient: Callable[[int], tuple[dict[str, float], int]],
    n_steps: int,
    *,
    epochs: int,
    rng: np.random.Generator,
    patience: int = 5,
    tolerance: float = 1e-4,
    title: str = "SemST",
    progress: bool = True,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train until the objective settles, or for `epochs`.

    Training stops early once the objective has improved by less than `tolerance` of its value, on average per epoch,
    over the last `patience` epochs.

    Parameters
    ----------
    model
        Changed in place.
    optimizer
        Of the model's parameters.
    gradient
        Computes the gradients of one of the steps; returns the terms, the objective among them as `"loss"`, and how
        many spots they are the mean of.
    n_steps
        Steps in an epoch, taken in random order.
    epochs
        Most epochs.
    rng
        Orders the steps.
    patience
        Epochs over which the improvement is judged.
    tolerance
        Relative improvement per epoch that counts as none.
    title
        Of the progress bar.
    progress
        Show a progress bar.
    checkpoint
        Where to go on from, and where to keep how far training has come.

    Raises
    ------
    FloatingPointError
        If the objective becomes NaN or infinite.
    """
    position = Position() if checkpoint is None else checkpoint.restore(model, optimizer, rng)
    history = position.history
    model.train()
    with (
        tqdm(
            total=epochs, initial=history.stopped_epoch, desc=title, unit="epoch", disable=not progress, leave=False
        ) as bar,
        checkpoint or nullcontext(),
    ):
        while history.stopped_epoch < epochs and not history.converged:
            if not position.steps:
                position.steps = rng.permutation(n_steps).tolist()
            optimizer.zero_grad(set_to_none=True)
            terms, size = gradient(position.steps[0])
            optimizer.step()
            position.add(terms, size)
            if not position.steps:
                history.converged = _settled(history, patience, tolerance)
                bar.update()
                bar.set_postfix(loss=f"{history.terms['loss'][-1]:.4f}")
            if checkpoint is not None:
                checkpoint.after_step(position)
    if checkpoint is not None:
        checkpoint.save(position)
    model.eval()
    return history


def _settled(history: History, patience: int, tolerance: float) -> bool:
    loss = history.terms["loss"]
    if not np.isfinite(loss[-1]):
        raise FloatingPointError(
            f"Training diverged in epoch {history.stopped_epoch}: the objective is {loss[-1]}. "
            "Check the expression for extreme values, or lower the learning rate."
        )
    return len(loss) > patience and loss[-patience - 1] - loss[-1] < patience * tolerance * abs(loss[-1])
