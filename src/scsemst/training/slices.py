"""Several slices in one AnnData: which spots belong to which."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from scsemst._checks import available, obs_column

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Slices", "codes_of", "read_slices", "share_between"]

log = logging.getLogger("scsemst")


class Slices(NamedTuple):
    """A division of the spots into slices (batches)."""

    names: list[str]
    codes: np.ndarray
    """Slice of each spot, in `[0, len(names))`, int64, shape `(n_obs,)`."""

    @classmethod
    def single(cls, n_obs: int) -> Slices:
        """Return all spots as one slice that has no name."""
        return cls([""], np.zeros(n_obs, dtype=np.int64))

    @property
    def n(self) -> int:
        """Number of slices."""
        return len(self.names)

    @property
    def sizes(self) -> np.ndarray:
        """Spots of each slice, shape `(n,)`."""
        return np.bincount(self.codes, minlength=self.n)

    @property
    def member(self) -> sparse.csr_matrix:
        """Ones where a spot belongs to a slice: the matrix that sums rows by slice, shape `(n, n_obs)`."""
        n_obs = len(self.codes)
        return sparse.csr_matrix((np.ones(n_obs), (self.codes, np.arange(n_obs))), shape=(self.n, n_obs))

    def means(self, x: np.ndarray) -> np.ndarray:
        """Average the rows of each slice, shape `(n, x.shape[1])`; zero for a slice without rows."""
        return (self.member @ x) / np.maximum(self.sizes, 1)[:, None]

    def centred(self, x: np.ndarray) -> np.ndarray:
        """Take each slice's mean off its rows."""
        return (x - self.means(x)[self.codes]).astype(x.dtype)

    def ordered(self, names: list[str], column: str) -> Slices:
        """Return the same division in the order of a run, or raise if there are others than the run had."""
        if unknown := sorted(set(self.names) - set(names)):
            raise ValueError(
                f"{column} names slices that the run did not have ({available(unknown[:5])}). Run it again."
            )
        position = np.array([names.index(name) for name in self.names])
        return Slices(names, position[self.codes])

    def take(self, spots: np.ndarray) -> Slices:
        """Return the division of some of the spots."""
        return Slices(self.names, self.codes[spots])


def codes_of(adata: AnnData, batch_key: str) -> Slices:
    """Read the slices, which have to be known for every spot.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If spots have no slice.
    """
    column = obs_column(adata, batch_key, fix="Pass batch_key= to name the column that says the slice of each spot.")
    if missing := int(column.isna().sum()):
        raise ValueError(
            f"adata.obs[{batch_key!r}] is NaN for {missing} of {adata.n_obs} spots: each spot needs a slice. Name them, or "
            f"remove these spots: adata = adata[adata.obs[{batch_key!r}].notna()].copy()."
        )
    codes, names = pd.factorize(column.astype(str), sort=True)
    return Slices([str(name) for name in names], codes.astype(np.int64))


def read_slices(adata: AnnData, batch_key: str | None) -> Slices | None:
    """Read the slices to train on; nothing without a key.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If spots have no slice, or there is only one slice, or one of a single spot.
    """
    if batch_key is None:
        return None
    slices = codes_of(adata, batch_key)
    if slices.n < 2:
        raise ValueError(
            f"adata.obs[{batch_key!r}] names one slice only ({available(slices.names)}): there is nothing to bring "
            "together. Leave out batch_key=."
        )
    if (slices.sizes < 2).any():
        single = [name for name, size in zip(slices.names, slices.sizes, strict=True) if size < 2]
        raise ValueError(
            f"adata.obs[{batch_key!r}] has slices of a single spot ({available(single[:5])}): what is the slice's and what "
            "is the spot's cannot be told apart. Remove them, or name slices rather than spots."
        )
    return slices


def share_between(spatial: sparse.csr_matrix, slices: Slices, batch_key: str) -> float:
    """Return which share of the graph's edges joins different slices, and say so in the log if there are any."""
    rows, columns = spatial.nonzero()
    share = float((slices.codes[rows] != slices.codes[columns]).mean())
    if share:
        log.warning(
            "%.3g %% of the edges of the spatial graph join different slices. That is right for a stack of sections in three "
            "dimensions; otherwise pass library_key=%r to the squidpy function that builds the graph.",
            100 * share,
            batch_key,
        )
    return share
