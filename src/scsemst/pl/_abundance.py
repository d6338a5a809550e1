"""Share of each domain per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .. import _keys
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData


def abundance(
    adata: AnnData | SpatialData,
    sample_key: str,
    *,
    key: str = _keys.SEMST,
    normalize: bool = True,
    palette: str | Sequence[Any] | Mapping[str, Any] | None = None,
    table_key: str = _keys.TABLE,
    ax: Axes | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
) -> Axes:
    """Draw how much of each sample each domain takes, as stacked bars.

    Parameters
    ----------
    adata
        Annotated data matrix.
    sample_key
        Key in `obs` of the sample or slice; one bar each.
    key
        Key in `obs` of the labels. Spots without label are left out.
    normalize
        Draw shares of the labelled spots instead of numbers.
    palette
        Colours of the labels, as in :func:`scsemst.pl.domains`.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.

    Returns
    -------
    The axes. Sets `adata.uns[f"{key}_colors"]`, unless `adata` is a view.

    Raises
    ------
    KeyError
        If labels or samples are missing.

    Examples
    --------
    >>> import numpy as np
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> adata.obs["half"] = np.where(adata.obsm["spatial"][:, 0] < 6000, "left", "right")
    >>> ax = scsemst.pl.abundance(adata, "half", key="ground_truth", show=False)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['left', 'right']
    """
    from ._figure import finish, grid, panels
    from ._labels import categories
    from ._palette import keep, resolve

    adata = get_table(adata, table_key)
    labels, samples = categories(adata, key), categories(adata, sample_key, fix="Pass the key of the samples in obs.")
    for name, found in ((key, labels), (sample_key, samples)):
        if found.isna().all():
            raise ValueError(f"adata.obs[{name!r}] is NaN for every spot: there is nothing to count.")
    colors = resolve(adata, key, labels, palette)
    counts = pd.crosstab(samples, labels, dropna=False).reindex(columns=labels.categories, fill_value=0)
    counts = counts.loc[counts.index.notna()]
    if normalize:
        counts = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)

    panel = (panels(ax, 1) or grid(1, size=(2.2 + 0.5 * len(counts), 4))[1])[0]
    counts.plot.bar(stacked=True, color=colors, width=0.85, ax=panel, rot=90 if len(counts) > 6 else 0)
    panel.set(xlabel=sample_key, ylabel=("share" if normalize else "number") + " of spots")
    panel.spines[["top", "right"]].set_visible(False)
    # Not from the axes, which hide names that begin with an underscore
    names = [str(name) for name in labels.categories]
    handles = panel.containers[-len(names) :]
    panel.legend(
        handles[::-1],
        names[::-1],
        title=key,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        ncols=1 + len(names) // 15,
    )
    keep(adata, key, labels, colors)
    return finish(panel, "abundance", show=show, save=save, given=ax is not None)
