"""What `uns` keeps of a run."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scsemst._checks import seed_of

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst._types import Seed

    from .history import History

__all__ = ["run_record", "seed_record"]

_PACKAGES = ("scsemst", "torch", "scanpy", "squidpy", "anndata", "numpy", "scipy", "scikit-learn")


def run_record(adata: AnnData, params: dict[str, Any], history: History, semantics_key: str | None) -> dict[str, Any]:
    """Return parameters, history, versions and semantics of a run, in types that h5ad can store."""
    record: dict[str, Any] = {
        "params": {name: _storable(value) for name, value in params.items() if value is not None},
        "n_spots": adata.n_obs,
        "history": history.to_dict(),
        "stopped_epoch": history.stopped_epoch,
        "converged": history.converged,
        "versions": {name: version(name) for name in _PACKAGES},
    }
    if params.get("integrate") == "harmony":
        record["versions"]["harmonypy"] = version("harmonypy")
    if semantics_key is not None:
        provenance = adata.uns.get(semantics_key)
        known = dict(provenance) if isinstance(provenance, dict) else {}
        record["semantics"] = {**known, "vectors_hash": _digest(adata.obsm[semantics_key])}
    return record


def _digest(vectors: Any) -> str:
    """Return a short hash of spot vectors, of where they came from nothing may be known; block by block, as on disk."""
    digest = hashlib.sha256(repr(vectors.shape).encode())
    for i in range(0, vectors.shape[0], 16_384):
        block = vectors[i : i + 16_384]
        block = block.toarray() if sparse.issparse(block) else block
        digest.update(np.ascontiguousarray(np.asarray(block, dtype=np.float32)).data)
    return digest.hexdigest()[:16]


def seed_record(rng: Seed, generator: np.random.Generator) -> dict[str, Any]:
    """Return the seed or, if a generator came in its place, the state it is in, as JSON: both repeat the run."""
    if isinstance(rng, int | np.integer):
        return {"rng": seed_of(rng)}
    return {"rng_state": json.dumps(generator.bit_generator.state, default=np.ndarray.tolist)}


def _storable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
