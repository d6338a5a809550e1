"""What a run's semantic modulation does to each spot, from what `uns` keeps of the run."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scsemst import _keys
from scsemst._checks import features, require_key

from .provenance import difference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anndata import AnnData
    from scipy import sparse

    from scsemst.nn import FSM
    from scsemst.training.semantics import Standard
    from scsemst.training.slices import Slices

__all__ = ["Modulator", "modulation_of", "modulator_of"]

_SEMANTICS = "The run read them: run scsemst.pp.gene_semantics(adata) or scsemst.pp.spot_semantics(adata) as before it."


class Modulator(NamedTuple):
    """A trained modulation and what it reads."""

    fsm: FSM
    standard: Standard
    semantics: np.ndarray
    """Standardised, shape `(n_obs, d)`."""
    average: sparse.csr_matrix | None
    """What the semantic vectors were averaged with, see :func:`~scsemst.training.components.averaging_operator`."""
    n_hops: int
    """How often they were."""
    feature_scale: float
    """What the features were divided by."""
    slices: Slices | None
    """Slices that were centred one by one."""


def modulation_of(adata: AnnData, key: str, *, fix: str) -> tuple[np.ndarray, np.ndarray]:
    """Return α and β of a run, each of shape `(n_obs, n_features)`: as stored in `obsm`, or computed again.

    Parameters
    ----------
    adata
        Annotated data with the run's result.
    key
        Key of the run.
    fix
        The call that writes it.
    """
    stored = _keys.alpha(key), _keys.beta(key)
    if all(name in adata.obsm for name in stored):
        return np.asarray(adata.obsm[stored[0]]), np.asarray(adata.obsm[stored[1]])
    from scsemst.training.modulate import affine

    made = modulator_of(adata, key, fix=fix)
    alpha, beta = affine(made.fsm, made.semantics)
    return alpha, beta * made.feature_scale


def modulator_of(adata: AnnData, key: str, *, fix: str) -> Modulator:
    """Return a run's modulation and the semantics it read, in the same form.

    Raises
    ------
    KeyError
        If the run, its semantics or its graph are missing.
    ValueError
        If the semantics have been made anew in another way.

    Warns
    -----
    UserWarning
        If spots have been left out since, and with them neighbours.
    """
    from scsemst.graphs import local_graph, spatial_graph
    from scsemst.training.components import averaging_operator
    from scsemst.training.modulate import load_fsm
    from scsemst.training.slices import codes_of

    record = require_key(adata, "uns", key, fix=fix)
    if not hasattr(record, "keys") or "fsm" not in record:
        raise KeyError(f"adata.uns[{key!r}] has no 'fsm': that run had no semantics. {fix}")
    fsm, standard = load_fsm(record["fsm"])
    semantics_key = record["params"]["semantics_key"]
    vectors = features(adata, semantics_key, fix=_SEMANTICS).astype(np.float32)
    _require_same(vectors, fsm, record, adata.uns.get(semantics_key), f"adata.obsm[{semantics_key!r}]")
    params = record["params"]
    slices = None
    if batch_key := params.get("batch_key"):
        slices = codes_of(adata, batch_key).ordered(list(record["batches"]["names"]), f"adata.obs[{batch_key!r}]")
    n_hops = int(record["fsm"].get("n_hops", 0))
    average = None
    if n_hops:
        if adata.n_obs != record.get("n_spots", adata.n_obs):
            warnings.warn(
                f"adata has {adata.n_obs} of the {record['n_spots']} spots of the run {key!r}: its modulation averages semantics "
                "over neighbours, of which some are missing, so α and β are not those of the run. Keep these, with "
                "store_modulation=True, or take all spots.",
                stacklevel=3,
            )
        enough_spots = int(params.get("enough_spots", 0))
        average = averaging_operator(local_graph(spatial_graph(adata, params["neighbors_key"]), enough_spots, slices))
        for _ in range(n_hops):
            vectors = average @ vectors
    feature_scale = float(record["fsm"].get("feature_scale", 1))
    return Modulator(fsm, standard, standard.apply(vectors, slices), average, n_hops, feature_scale, slices)


def _require_same(vectors: np.ndarray, fsm: FSM, record: Mapping[str, Any], now: Any, name: str) -> None:
    """Raise if the semantics are of another dimension than the run's, or were made from other vectors."""
    if vectors.ndim != 2 or vectors.shape[1] != fsm.semantic_channels:
        raise ValueError(
            f"{name} has shape {vectors.shape}, the run read semantics of dimension {fsm.semantic_channels}. {_SEMANTICS}"
        )
    if differs := difference(now if hasattr(now, "keys") else {}, record.get("semantics", {})):
        field, found, expected = differs
        raise ValueError(f"{name} has {field}={found!r}, the run read {field}={expected!r}. {_SEMANTICS}")
