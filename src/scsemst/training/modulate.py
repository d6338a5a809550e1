"""Training of semantic modulation for an embedding computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from scsemst.nn import FSM, Observed

from .history import History
from .loop import optimize
from .model import LIKELIHOODS, start_decoder
from .semantics import Standard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .expression import Expression

__all__ = ["Modulation", "Standard", "affine", "load_fsm", "store_fsm", "train_modulation"]

DECODER_CHANNELS = 64
BATCH_SIZE = 4096
_WEIGHTS = "weights"


@dataclass(frozen=True)
class Modulation:
    """A trained modulation and what it does to each spot."""

    fsm: FSM
    alpha: np.ndarray
    """Shape `(n_obs, n_features)`."""
    beta: np.ndarray
    """In units of the embedding, shape `(n_obs, n_features)`."""
    feature_scale: float
    """What the embedding was divided by before it was modulated."""
    history: History


class _Decoded(nn.Module):
    """Modulation, then a decoder of counts."""

    def __init__(self, in_channels: int, semantic_channels: int, hidden_channels: int, likelihood: nn.Module) -> None:
        super().__init__()
        self.fsm = FSM(in_channels, semantic_channels, hidden_channels)
        self.decoder = nn.Sequential(nn.Linear(in_channels, likelihood.in_channels), nn.SiLU())
        self.likelihood = likelihood

    def loss(self, z: Tensor, semantics: Tensor, observed: Observed, log_library: Tensor | None) -> Tensor:
        return self.likelihood.loss(self.decoder(self.fsm(z, semantics)), observed, log_library)


class _Batch(NamedTuple):
    z: Tensor
    semantics: Tensor
    observed: Observed
    log_library: Tensor | None


def train_modulation(
    embedding: np.ndarray,
    semantics: np.ndarray,
    expression: Expression,
    *,
    likelihood: str,
    hidden_channels: int,
    epochs: int,
    learning_rate: float,
    device: torch.device,
    rng: np.random.Generator,
    patience: int = 5,
    tolerance: float = 1e-4,
    progress: bool = True,
) -> Modulation:
    """Learn to modulate an embedding by semantics so that a decoder explains the counts best from the result.

    The global random state is left as it was. Training stops once the objective has improved by less than
    `tolerance` of its value, on average per epoch, over the last `patience` epochs.

    Parameters
    ----------
    embedding
        Shape `(n_obs, n_features)`; only read.
    semantics
        Standardised semantic vectors, shape `(n_obs, d)`.
    expression
        What the decoder explains.
    likelihood
        Key of :data:`~scsemst.training.model.LIKELIHOODS`.
    hidden_channels
        Of the modulation.
    epochs
        Most passes over all spots.
    learning_rate
        Of Adam.
    device
        Where to train.
    rng
        Draws the weights and the order of batches.
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
    # Only scaled, not centred: (1 + α) ⊙ z + β then holds for the embedding as the user knows it.
    scale = np.float32(np.sqrt(embedding.var(axis=0).mean()))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(rng.integers(2**31)))  # not those of GPUs: nobody would put them back
        decoder = LIKELIHOODS[likelihood](DECODER_CHANNELS, expression.genes.size)
        model = _Decoded(embedding.shape[1], semantics.shape[1], hidden_channels, decoder)
    start_decoder(model.likelihood, expression)
    model.to(device)
    batches = _batches(embedding / scale, semantics, expression, device, rng)
    history = _fit(model, batches, epochs, learning_rate, rng, patience, tolerance, progress)
    alpha, beta = affine(model.fsm, semantics)
    return Modulation(model.fsm.cpu(), alpha, beta * scale, float(scale), history)


@torch.no_grad()
def affine(fsm: FSM, semantics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return α and β of a trained modulation, each of shape `(n_obs, n_features)`."""
    device = next(fsm.parameters()).device
    starts = range(0, len(semantics), BATCH_SIZE)
    parts = [fsm.affine(torch.tensor(semantics[i : i + BATCH_SIZE]).to(device)) for i in starts]
    alpha, beta = (torch.cat(list(part)).cpu().numpy() for part in zip(*parts, strict=True))
    return alpha, beta


def _batches(
    z: np.ndarray, semantics: np.ndarray, expression: Expression, device: torch.device, rng: np.random.Generator
) -> list[_Batch]:
    """Cut the spots at random into batches of alike size."""
    n_obs = len(z)
    order = rng.permutation(n_obs) if n_obs > BATCH_SIZE else np.arange(n_obs)
    batches = []
    for rows in np.array_split(order, -(-n_obs // BATCH_SIZE)):
        rows.sort()
        library = expression.log_library(rows)
        library = None if library is None else torch.tensor(library).to(device)
        observed = Observed(expression.rows(rows)[1]).to(device)
        latent, meaning = (torch.tensor(part[rows], dtype=torch.float32).to(device) for part in (z, semantics))
        batches.append(_Batch(latent, meaning, observed, library))
    return batches


def _fit(
    model: _Decoded,
    batches: list[_Batch],
    epochs: int,
    learning_rate: float,
    rng: np.random.Generator,
    patience: int,
    tolerance: float,
    progress: bool,
) -> History:
    def gradient(i: int) -> tuple[dict[str, float], int]:
        loss = model.loss(*batches[i])
        loss.backward()
        return {"loss": loss.item()}, len(batches[i].z)

    return optimize(
        model,
        torch.optim.Adam(model.parameters(), lr=learning_rate),
        gradient,
        len(batches),
        epochs=epochs,
        rng=rng,
        patience=patience,
        tolerance=tolerance,
        title="modulation",
        progress=progress,
    )


def store_fsm(fsm: FSM, standard: Standard, *, feature_scale: float = 1.0, n_hops: int = 0) -> dict[str, Any]:
    """Return a modulation's weights and the scales of what it reads and changes, in types that h5ad can store.

    Parameters
    ----------
    fsm
        Trained modulation.
    standard
        How the semantic vectors were standardised for it.
    feature_scale
        What the features were divided by for it.
    n_hops
        How often the semantic vectors were averaged over the spatial graph before they were standardised.
    """
    return {
        _WEIGHTS: {name: value.detach().cpu().numpy().copy() for name, value in fsm.state_dict().items()},
        "semantics_mean": standard.mean,
        "semantics_scale": standard.scale,
        "feature_scale": feature_scale,
        "n_hops": n_hops,
    }


def load_fsm(record: Mapping[str, Any]) -> tuple[FSM, Standard]:
    """Return the modulation that :func:`store_fsm` recorded, and how to standardise semantic vectors for it."""
    weights = {name: torch.tensor(np.asarray(value)) for name, value in record[_WEIGHTS].items()}
    n_hidden, n_semantic = weights["head.1.weight"].shape
    with torch.random.fork_rng(devices=[]):  # weights are drawn before they are overwritten
        fsm = FSM(weights["to_affine.2.weight"].shape[0] // 2, n_semantic, n_hidden)
    fsm.load_state_dict(weights)
    return fsm.eval(), Standard(np.asarray(record["semantics_mean"]), float(record["semantics_scale"]))
