"""What is recorded of training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["History"]


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
