"""Semantic vectors of the spots that a process holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from scsemst._checks import require_finite, require_key
from scsemst.training.partition import surroundings
from scsemst.training.semantics import FIX, Standard
from scsemst.training.slices import Slices

from .rows import Rows, read_dense

if TYPE_CHECKING:
    from anndata import AnnData

    from .world import World

__all__ = ["read_shared_semantics"]


def read_shared_semantics(
    adata: AnnData,
    key: str | None,
    *,
    average: sparse.csr_matrix,
    spatial: sparse.csr_matrix,
    n_hops: int,
    held: np.ndarray,
    core: np.ndarray,
    world: World,
    slices: Slices | None = None,
) -> tuple[Rows, Standard] | None:
    """Return the vectors of the spots held, as :func:`~scsemst.training.semantics.read_semantics` makes them.

    Parameters
    ----------
    adata
        Annotated data with `obsm[key]`, on disk.
    key
        Key in `obsm`; nothing is read without.
    average
        See :func:`~scsemst.training.components.averaging_operator`.
    spatial
        Spatial graph.
    n_hops
        How often to average the vectors over the spatial graph.
    held
        Spots to return, ascending.
    core
        Spots of this process and of no other.
    world
        All processes: mean and scale are those of all spots.
    slices
        Slices to centre one by one.
    """
    if key is None:
        return None
    stored = require_key(adata, "obsm", key, fix=FIX)
    name = f"adata.obsm[{key!r}]"
    if len(stored.shape) != 2 or stored.shape[1] < 2:
        raise ValueError(f"{name} must be spots × features, two at least, found shape {tuple(stored.shape)}. {FIX}")
    # Averages need what is further out; its own averages are wrong, but they are not used
    seen = np.sort(np.concatenate([held, surroundings(spatial, held, n_hops)])) if n_hops else held
    vectors = read_dense(stored, seen).values
    require_finite(vectors, name=name)
    inner = average[seen][:, seen]
    for _ in range(n_hops):
        vectors = inner @ vectors
    own, n = vectors[np.searchsorted(seen, core)], adata.n_obs
    all_spots = slices or Slices.single(n)
    here = all_spots.take(core)
    mean = (world.sum(here.member @ own) / all_spots.sizes[:, None]).astype(np.float32)
    squares = np.stack([np.square(x, dtype=np.float64).sum(axis=0) for x in (own - mean[here.codes], own)])
    scale, size = np.sqrt(world.sum(squares).mean(axis=1) / n).tolist()
    standard = Standard(mean[0] if slices is None else mean, scale)
    if scale <= 1e-6 * size:
        raise ValueError(f"{name} is the same for every spot: it says nothing about domains. {FIX}")
    near = None if slices is None else slices.take(held)
    return Rows(held, standard.apply(vectors[np.searchsorted(seen, held)], near), n), standard
