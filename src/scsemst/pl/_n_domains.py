"""Scores of numbers of domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _keys
from .._checks import require_key
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData


def n_domains(
    adata: AnnData | SpatialData,
    key: str = _keys.N_DOMAINS,
    *,
    table_key: str = _keys.TABLE,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
) -> list[Axes]:
    """Draw stability, information criterion and score of each number of domains, and which one was chosen.

    Parameters
    ----------
    adata
        Annotated data matrix.
    key
        Key in `uns` of the result of :func:`scsemst.tl.n_domains`.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on, three.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.

    Returns
    -------
    One axes per score.

    Raises
    ------
    KeyError
        If there are no scores; says which call writes them.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:500, :300].copy()
    >>> sc.pp.pca(adata, n_comps=10)
    >>> k = scsemst.tl.n_domains(adata, [2, 4, 8], use_rep="X_pca", n_repeats=2)
    >>> [ax.get_title() for ax in scsemst.pl.n_domains(adata, show=False)]
    ['stability', 'BIC per spot', 'score']
    """
    from ._figure import curves, finish, grid, panels

    adata = get_table(adata, table_key)
    fix = "Run scsemst.tl.n_domains(adata) first."
    record = require_key(adata, "uns", key, fix=fix)
    if not hasattr(record, "keys") or "scores" not in record:
        raise KeyError(f"adata.uns[{key!r}] has no 'scores' of numbers of domains. {fix}")
    scores = record["scores"]
    titles = {"stability": "stability", "bic": "BIC per spot", "score": "score"}
    axes = panels(ax, len(titles)) or grid(len(titles), size=(3.2, 2.6))[1]
    chosen = int(record["n_domains"])
    values = {title: scores[name] for name, title in titles.items()}
    curves(axes, scores["n_domains"], values, mark=chosen, label=f"{chosen} domains", xlabel="number of domains")
    return finish(axes, "n_domains", show=show, save=save, given=ax is not None)
