"""Spots that occur more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scsemst import _keys

if TYPE_CHECKING:
    from anndata import AnnData

    from .expression import Expression
    from .slices import Slices

__all__ = ["merge_repeats"]


def merge_repeats(
    latent: np.ndarray, adata: AnnData, expression: Expression, slices: Slices | None = None
) -> np.ndarray:
    """Give spots of the same place and the same expression their mean latent vector, and with it the same domain.

    Their neighbours in the graph can differ, where several spots are equally far away.

    Parameters
    ----------
    latent
        Shape `(n_obs, n_latent)`; not changed.
    adata
        Where the coordinates are; without any, or where they are NaN, no spot is taken for
        another.
    expression
        What the model reads.
    slices
        Slices, whose coordinates have nothing to do with each other.
    """
    coords = adata.obsm.get(_keys.SPATIAL)
    if not isinstance(coords, np.ndarray) or coords.ndim != 2:
        return latent
    places = pd.DataFrame(coords)
    if slices is not None:
        places["slice"] = slices.codes
    several = np.flatnonzero(places.duplicated(keep=False) & places.notna().all(axis=1))
    if not several.size:
        return latent
    x, _ = expression.rows(several)
    # Equal rows have equal sums with random weights, and all but surely no others do
    sums = x @ np.random.default_rng(0).random(x.shape[1])
    group = places.iloc[several].assign(sums=sums).groupby([*places.columns, "sums"], sort=False).ngroup().to_numpy()
    means = pd.DataFrame(latent[several]).groupby(group).mean().to_numpy()
    latent = latent.copy()
    latent[several] = means[group]
    return latent
