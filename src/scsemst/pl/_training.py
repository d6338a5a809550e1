"""Losses over the epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _keys
from .._checks import require_key
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData

# Files do not keep the order
_TERMS = ("loss", "reconstruction", "neighbor", "redundancy")


def training(
    adata: AnnData | SpatialData,
    key: str = _keys.SEMST,
    *,
    table_key: str = _keys.TABLE,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
) -> list[Axes]:
    """Draw each loss over the epochs, and where training stopped.

    Parameters
    ----------
    adata
        Annotated data matrix.
    key
        Key in `uns` of a run of :func:`scsemst.tl.semst`.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on, one per loss.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.

    Returns
    -------
    One axes per loss.

    Raises
    ------
    KeyError
        If there is no history of losses; says which call writes it.

    Examples
    --------
    >>> import numpy as np
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> adata.uns["semst"] = {"history": {"epoch": np.arange(1, 4), "loss": np.array([3.0, 2.0, 1.5])}}
    >>> [ax.get_title() for ax in scsemst.pl.training(adata, show=False)]
    ['loss']
    """
    from ._figure import curves, finish, grid, panels

    adata = get_table(adata, table_key)
    fix = "Run scsemst.tl.semst(adata) first, or pass the key of its result."
    record = require_key(adata, "uns", key, fix=fix)
    if not hasattr(record, "keys") or "history" not in record:
        raise KeyError(f"adata.uns[{key!r}] has no 'history' of losses. {fix}")
    history = {name: np.asarray(values) for name, values in record["history"].items()}
    terms = sorted(history.keys() - {"epoch"}, key=_rank)
    epochs = history.get("epoch", np.arange(1, len(history[terms[0]]) + 1))
    stopped = record.get("stopped_epoch", record.get("params", {}).get("stopped_epoch", epochs[-1]))

    axes = panels(ax, len(terms)) or grid(len(terms), ncols=4, size=(3.2, 2.6))[1]
    values = {name: history[name] for name in terms}
    curves(axes, epochs, values, mark=stopped, label=f"stopped at epoch {stopped}", xlabel="epoch")
    return finish(axes, "training", show=show, save=save, given=ax is not None)


def _rank(term: str) -> tuple[int, str]:
    return _TERMS.index(term) if term in _TERMS else len(_TERMS), term
