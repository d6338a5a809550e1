"""Smoother domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .. import _keys
from .._checks import labels, require_integer, require_new_key
from .._results import require_unused
from .._table import get_table

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


def refine(
    adata: AnnData | SpatialData,
    *,
    key: str = _keys.SEMST,
    neighbors_key: str = _keys.SPATIAL_CONNECTIVITIES,
    n_iter: int = 1,
    key_added: str | None = None,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Smooth domains over the tissue: each spot takes the majority label of its neighbourhood.

    Removes single spots inside another domain. Structures thinner than two spots go too, so look at both.

    Parameters
    ----------
    adata
        Annotated data matrix.
    key
        Key in `obs` of the labels. Spots without label stay so and have no vote.
    neighbors_key
        Key in `obsp` of the spatial graph. Every neighbour has one vote, the spot itself another.
    n_iter
        Number of rounds; fewer if nothing changes any more.
    key_added
        Key in `obs` to write to; by default `key` followed by `"_refined"`. Pass `key` itself to replace the labels.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Return a copy instead of writing to `adata`.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.obs[key_added]` : :class:`pandas.Categorical`
        Smoothed labels, with the names of the old ones. Ties keep the current label; no domain loses all its spots.

    Raises
    ------
    KeyError
        If the labels or the graph are missing.
    TypeError
        If the column holds measurements instead of labels.

    Examples
    --------
    >>> import scsemst
    >>> import squidpy as sq
    >>> adata = scsemst.datasets.dlpfc()
    >>> sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    >>> scsemst.tl.refine(adata, key="ground_truth")
    >>> adata.obs["ground_truth_refined"].nunique()
    7
    """
    from ..domains.refine import majority
    from ..graphs.spatial import spatial_graph

    adata = get_table(adata, table_key, copy=copy)
    column = labels(adata, key, fix="Run scsemst.tl.semst(adata) or scsemst.tl.domains(adata, …) first.")
    key_added = f"{key}_refined" if key_added is None else key_added
    require_new_key(key_added, name="key_added")
    require_unused(adata, key_added)
    n_iter = require_integer(n_iter, name="n_iter", minimum=1)
    graph = spatial_graph(adata, neighbors_key)
    old = pd.Categorical(column)
    smooth = majority(old.codes.astype(int), graph, n_iter=n_iter)

    adata = adata.copy() if copy else adata
    adata.obs[key_added] = pd.Categorical.from_codes(smooth, dtype=old.dtype)
    return adata if copy else None
