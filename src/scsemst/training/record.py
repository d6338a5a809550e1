"""What `uns` keeps of a run."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst._types import Seed

    from .history import History

__all__ = ["run_record", "seed_record"]


def run_record(adata: AnnData, params: dict[str, Any], history: History, semantics_key: str | None) -> dict[str, Any]:
    """Return parameters, history, versions and semantics of a run, in types that h5ad can store."""
    record = {
        "params": {name: _storable(value) for name, value in params.items() if value is not None},
        "history": history.to_dict(),
        "stopped_epoch": history.stopped_epoch,
        "converged": history.converged,
        "versions": {name: version(name) for name in ("scsemst", "torch", "scanpy", "squidpy", "anndata", "numpy")},
    }
    provenance = adata.uns.get(semantics_key) if semantics_key is not None else None
    if isinstance(provenance, dict):
        record["semantics"] = dict(provenance)
    return record


def seed_record(rng: Seed, generator: np.random.Generator) -> dict[str, Any]:
    """Return the seed or, if a generator came in its place, the state it is in, as JSON: both repeat the run."""
    if isinstance(rng, int | np.integer):
        return {"rng": int(rng)}
    return {"rng_state": json.dumps(generator.bit_generator.state, default=np.ndarray.tolist)}


def _storable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
