"""Numbers on the tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes


def coordinates(adata: AnnData, spatial_key: str) -> np.ndarray:
    """Return the first two coordinates of the spots, or raise an error that says what is needed."""
    coords = features(adata, spatial_key, fix="Spatial coordinates are needed; pass spatial_key= to name them.")
    if coords.shape[1] < 2:
        raise ValueError(f"adata.obsm[{spatial_key!r}] must have two or three columns, found shape {coords.shape}.")
    return coords[:, :2]


def draw_values(
    adata: AnnData,
    values: Mapping[str, np.ndarray],
    ax: Axes | Sequence[Axes] | None,
    *,
    spatial_key: str,
    cmap: str,
    ncols: int = 3,
    size: float | None = None,
    **kwargs: Any,
) -> list[Axes]:
    """Draw values of each spot, a panel for each entry of `values`, by :func:`squidpy.pl.spatial_scatter`.

    Zero is in the middle of the colormap; each panel has limits of its own, at the 99th percentile of its absolute
    values.
    """
    import anndata as ad
    import pandas as pd
    import squidpy as sq
    from matplotlib.colors import Normalize

    from ._figure import grid, panels

    obs = pd.DataFrame({title: np.asarray(v, dtype=np.float64) for title, v in values.items()}, index=adata.obs_names)
    tissue = ad.AnnData(obs=obs, obsm={spatial_key: coordinates(adata, spatial_key)})
    axes = panels(ax, len(values)) or grid(len(values), ncols=ncols, size=(4.2, 3.4))[1]
    options: dict[str, Any] = {"shape": None, "img": False, "library_id": "", "cmap": cmap, "frameon": False}
    if size is not None:
        options["size"] = size
    for panel, title in zip(axes, values, strict=True):
        limit = float(np.nanquantile(np.abs(obs[title]), 0.99)) or 1.0
        sq.pl.spatial_scatter(
            tissue,
            color=title,
            spatial_key=spatial_key,
            norm=Normalize(-limit, limit),
            fig=panel.figure,
            ax=panel,
            title=title,
            **{**options, **kwargs},
        )
        rasterize(panel)
    return axes


def rasterize(panel: Axes) -> None:
    """Draw points as pixels in vector formats: half a million spots would make a PDF of 100 MB."""
    for collection in panel.collections:
        collection.set_rasterized(True)
