"""The training loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

if TYPE_CHECKING:
    from scsemst.nn import SemST

    from .batch import Batch
    from .presets import Preset

__all__ = ["History", "fit"]

log = logging.getLogger("scsemst")


@dataclass
class History:
    """Objective and its terms, one value per epoch."""

    terms: dict[str, list[float]] = field(default_factory=dict)
    stopped_epoch: int = 0
    """Epochs that were run."""
    converged: bool = False
    """Whether training stopped before the last epoch because the objective did."""

    def append(self, values: dict[str, float]) -> None:
        """Add an epoch."""
        for name, value in values.items():
            self.terms.setdefault(name, []).append(value)
        self.stopped_epoch += 1

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return one array per term, and the epoch numbers from 1."""
        epochs = np.arange(1, self.stopped_epoch + 1)
        return {"epoch": epochs, **{name: np.array(values) for name, values in self.terms.items()}}


def fit(
    model: SemST,
    batches: Sequence[Batch],
    preset: Preset,
    *,
    epochs: int,
    rng: np.random.Generator,
    patience: int = 5,
    tolerance: float = 1e-4,
    progress: bool = True,
) -> History:
    """Train until the objective settles, or for `epochs`.

    Only expression, graphs and semantics are read. Training stops early once the objective has improved by less than
    `tolerance` of its value, on average per epoch, over the last `patience` epochs.

    Parameters
    ----------
    model
        Changed in place.
    batches
        One step is taken for each, in random order in every epoch.
    preset
        Learning rate and weights of the terms.
    epochs
        Most passes over all batches.
    rng
        Orders the batches.
    patience
        Epochs over which the improvement is judged.
    tolerance
        Relative improvement per epoch that counts as none.
    progress
        Show a progress bar.

    Raises
    ------
    FloatingPointError
        If the objective becomes NaN or infinite.
    """
    weights = {
        "reconstruction": 1.0,
        "neighbor": preset.neighbor_weight,
        "redundancy": preset.redundancy_weight,
    }
    optimizer = _optimizer(model, preset)
    history = History()
    model.train()
    with tqdm(total=epochs, desc="SemST", unit="epoch", disable=not progress, leave=False) as bar:
        for _ in range(epochs):
            history.append(_epoch(model, batches, weights, optimizer, rng))
            loss = history.terms["loss"]
            if not np.isfinite(loss[-1]):
                raise FloatingPointError(
                    f"Training diverged in epoch {history.stopped_epoch}: the objective is {loss[-1]}. "
                    "Check the expression for extreme values, or lower learning_rate."
                )
            bar.update()
            bar.set_postfix(loss=f"{loss[-1]:.4f}")
            if len(loss) > patience and loss[-patience - 1] - loss[-1] < patience * tolerance * abs(loss[-1]):
                history.converged = True
                break
    model.eval()
    return history


def _optimizer(model: SemST, preset: Preset) -> torch.optim.Optimizer:
    """Let what started from principal components move slowly, and what started at random catch up with it."""
    parts = [
        ((model.spatial_view, model.feature_view, model.to_latent), preset.encoder_learning_rate),
        ((model.fsm,), preset.modulation_learning_rate),
        ((model.decoder, model.likelihood), preset.learning_rate),
    ]
    groups = [
        {"params": [p for module in modules if module is not None for p in module.parameters()], "lr": rate}
        for modules, rate in parts
    ]
    return torch.optim.Adam(groups, weight_decay=preset.weight_decay)


def _epoch(
    model: SemST,
    batches: Sequence[Batch],
    weights: dict[str, float],
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Take one step per batch; return the mean of each term, weighted by core spots."""
    totals: dict[str, float] = {}
    n_spots = 0
    for i in rng.permutation(len(batches)):
        batch = batches[i]
        size = batch.core.stop
        encoding = model.encode(batch.x, batch.spatial_graph, batch.feature_graph, batch.semantics)
        core = type(encoding)(*(None if part is None else part[batch.core] for part in encoding))
        terms = model.loss(core, batch.observed, batch.log_library, batch.edge_index)
        loss = sum(weights[name] * term for name, term in terms.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        n_spots += size
        for name, term in {"loss": loss, **terms}.items():
            totals[name] = totals.get(name, 0.0) + size * term.item()
    return {name: total / n_spots for name, total in totals.items()}
