"""Where in the tissue semantics change a representation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _keys
from .._checks import require_integer
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData


def modulation(
    adata: AnnData | SpatialData,
    key: str = _keys.SEMST,
    *,
    dims: int | Sequence[int] = 3,
    spatial_key: str = _keys.SPATIAL,
    cmap: str = "RdBu_r",
    size: float | None = None,
    table_key: str = _keys.TABLE,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    **kwargs: Any,
) -> list[Axes]:
    """Draw scaling and shift of features on the tissue: upper row α, lower row β.

    Drawn by :func:`squidpy.pl.spatial_scatter`. White is no change, red is more of the feature and blue is less; each
    panel has limits of its own, at the 99th percentile of its absolute values.

    Parameters
    ----------
    adata
        Annotated data matrix with coordinates in `obsm[spatial_key]`. Nothing is written to it.
    key
        Key of a run of :func:`scsemst.tl.modulate`, for example `"X_scVI_semst"`, or of :func:`scsemst.tl.semst`. α and
        β are those in `obsm` or, if none were stored, computed from the weights in `uns` and the spots' semantics.
    dims
        Features to draw, counted from 0, or how many: then those that change most from spot to spot.
    spatial_key
        Key in `obsm` of the coordinates.
    cmap
        Colormap, white in the middle.
    size
        Size of the spots, as in squidpy.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on, first those of α, then those of β.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.
    **kwargs
        Passed on to :func:`squidpy.pl.spatial_scatter`.

    Returns
    -------
    One axes per panel, first those of α, then those of β.

    Raises
    ------
    KeyError
        If modulation or coordinates are missing; says which call writes them.
    ValueError
        If there is no such feature, or the semantics are no longer those of the run.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:500].copy()
    >>> scsemst.pp.gene_semantics(adata)
    >>> adata.obsm["X_pca"] = sc.pp.pca(adata.X.log1p(), n_comps=10)
    >>> scsemst.tl.modulate(adata, "X_pca", epochs=3)
    >>> [ax.get_title() for ax in scsemst.pl.modulation(adata, "X_pca_semst", dims=[0], show=False)]
    ['α, feature 0', 'β, feature 0']
    """
    from ..semantics.modulation import modulation_of
    from ._figure import finish
    from ._tissue import draw_values

    adata = get_table(adata, table_key)
    fix = "Run scsemst.tl.modulate(adata, …) or scsemst.tl.semst(adata) first, or pass key= to name its result."
    values = dict(zip("αβ", modulation_of(adata, key, fix=fix), strict=True))
    chosen = _features(values, dims)

    drawn = {f"{sign}, feature {i}": values[sign][:, i] for sign in values for i in chosen}
    axes = draw_values(adata, drawn, ax, ncols=len(chosen), spatial_key=spatial_key, cmap=cmap, size=size, **kwargs)
    return finish(axes, "modulation", show=show, save=save, given=ax is not None)


def _features(values: dict[str, np.ndarray], dims: int | Sequence[int]) -> list[int]:
    """Return the features to draw: those named, or those whose α and β vary most, each relative to all features."""
    n = values["α"].shape[1]
    if isinstance(dims, (int, np.integer)):
        dims = require_integer(dims, name="dims", minimum=1, maximum=n)
        spread = [v.var(axis=0) / max(float(v.var(axis=0).mean()), 1e-30) for v in values.values()]
        return [int(i) for i in np.argsort(-np.add(*spread), kind="stable")[:dims]]
    chosen = [require_integer(i, name="dims", minimum=0, maximum=n - 1) for i in dims]
    if not chosen:
        raise ValueError(f"dims is empty. Pass features between 0 and {n - 1}, or how many to draw.")
    return chosen
