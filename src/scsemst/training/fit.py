"""Training of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .history import History
from .loop import optimize

if TYPE_CHECKING:
    import numpy as np

    from scsemst.nn import SemST

    from .batch import Batch
    from .checkpoint import Checkpoint
    from .presets import Preset

__all__ = ["autocast", "fit", "objective", "optimizer"]


def fit(
    model: SemST,
    batches: Sequence[Batch],
    preset: Preset,
    *,
    epochs: int,
    rng: np.random.Generator,
    precision: str = "float32",
    progress: bool = True,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train until the objective settles, or for `epochs`.

    Only expression, graphs and semantics are read.

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
    precision
        See :func:`autocast`.
    progress
        Show a progress bar.
    checkpoint
        See :func:`~scsemst.training.loop.optimize`.

    Raises
    ------
    FloatingPointError
        If the objective becomes NaN or infinite.
    """

    def gradient(i: int) -> tuple[dict[str, float], int]:
        batch = batches[i]
        with autocast(batch.edge_index.device, precision):
            terms = objective(model, batch, preset)
        terms["loss"].backward()
        return {name: term.item() for name, term in terms.items()}, batch.core.stop

    adam = optimizer(model, preset)
    options: dict[str, Any] = {"epochs": epochs, "rng": rng, "progress": progress}
    try:
        return optimize(model, adam, gradient, len(batches), checkpoint=checkpoint, **options)
    except KeyboardInterrupt as error:
        if error.args:  # the checkpoint has said how to go on
            raise
        raise KeyboardInterrupt(
            "Training was interrupted; the data are unchanged. With checkpoint_dir= the same call goes on where it was last "
            "written."
        ) from None


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which dense layers compute in bfloat16 if `precision="bf16"`.

    Only forward passes belong in it: the backward pass takes the precision of each from there.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def objective(model: SemST, batch: Batch, preset: Preset) -> dict[str, torch.Tensor]:
    """Return the objective of a batch's core, `"loss"`, and its terms."""
    encoding = model.encode(batch.x, batch.spatial_graph, batch.feature_graph, batch.semantics, batch.codes)
    core = type(encoding)(*(None if part is None else part[batch.core] for part in encoding))
    codes = None if batch.codes is None else batch.codes[batch.core]
    terms = model.loss(core, batch.observed, batch.log_library, batch.edge_index, codes)
    weights = {
        "reconstruction": 1.0,
        "neighbor": preset.neighbor_weight,
        "redundancy": preset.redundancy_weight,
    }
    return {"loss": sum(weights[name] * term for name, term in terms.items()), **terms}


def optimizer(model: SemST, preset: Preset) -> torch.optim.Optimizer:
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
