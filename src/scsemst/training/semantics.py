"""Semantic vectors, as `pp.gene_semantics` or `pp.spot_semantics` wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._checks import features
from ..graphs import gene_mixing

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy import sparse

    from .slices import Slices

__all__ = ["Semantics", "Standard", "read_gene_mixing", "read_semantics", "standard_semantics"]

FIX = "Run scsemst.pp.gene_semantics(adata) first, or pass semantics_key=None to train without semantics."


class Standard(NamedTuple):
    """How semantic vectors were standardised: `(vectors - mean) / scale`."""

    mean: np.ndarray
    """Shape `(d,)` or, of each slice, `(n_slices, d)`."""
    scale: float

    @classmethod
    def of(cls, vectors: np.ndarray, slices: Slices | None = None) -> Standard:
        """One scale for all features: their relative sizes carry meaning, their absolute size depends on the model."""
        mean = vectors.mean(axis=0) if slices is None else slices.means(vectors)
        centred = vectors - (mean if slices is None else mean[slices.codes])
        return cls(mean, float(np.sqrt(centred.var(axis=0).mean())))

    def apply(self, vectors: np.ndarray, slices: Slices | None = None) -> np.ndarray:
        """Standardise vectors of shape `(n, d)`."""
        mean = self.mean if slices is None else self.mean[slices.codes]
        return ((vectors - mean) / self.scale).astype(np.float32)


class Semantics(NamedTuple):
    """What modulation reads."""

    vectors: np.ndarray
    """Centred and scaled to unit mean variance, shape `(n_obs, d)`."""
    standard: Standard
    """How."""


def read_semantics(
    adata: AnnData, key: str | None, *, average: sparse.csr_matrix, n_hops: int = 0, slices: Slices | None = None
) -> Semantics | None:
    """Return :func:`standard_semantics`, or nothing without a key."""
    return None if key is None else standard_semantics(adata, key, average=average, n_hops=n_hops, slices=slices)


def standard_semantics(
    adata: AnnData,
    key: str,
    *,
    average: sparse.csr_matrix | None,
    n_hops: int = 0,
    slices: Slices | None = None,
    fix: str = FIX,
) -> Semantics:
    """Return the spots' semantic vectors, centred and scaled to unit mean variance.

    Parameters
    ----------
    adata
        Annotated data with `obsm[key]`.
    key
        Key in `obsm`.
    average
        See :func:`~scsemst.training.components.averaging_operator`; nothing is averaged without.
    n_hops
        How often to average the vectors over the spatial graph: one spot's few counts make a noisy sentence.
    slices
        Slices to centre one by one.
    fix
        What errors tell to do.
    """
    vectors = features(adata, key, fix=fix).astype(np.float32)
    if vectors.shape[1] < 2:
        raise ValueError(
            f"adata.obsm[{key!r}] has one column, and the modulation tells spots apart by the relation of several. {fix}"
        )
    size = float(np.abs(vectors).max(initial=0))
    if average is not None:
        for _ in range(n_hops):
            vectors = average @ vectors
    standard = Standard.of(vectors, slices)
    if standard.scale <= 1e-6 * size:
        raise ValueError(f"adata.obsm[{key!r}] is the same for every spot: it says nothing about domains. {fix}")
    return Semantics(standard.apply(vectors, slices), standard)


def read_gene_mixing(adata: AnnData, key: str | None, genes: np.ndarray, share: float) -> sparse.csr_matrix | None:
    """Return :func:`~scsemst.graphs.gene_mixing` of the genes at some positions; `None` without a share or gene vectors."""
    if not share or key is None or key not in adata.varm:
        return None
    return gene_mixing(np.asarray(adata.varm[key], dtype=np.float32)[genes], share)
