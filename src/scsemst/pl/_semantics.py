"""The semantic space of spots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _keys
from .._checks import require_in, require_key
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData

    from .._types import Seed


def semantics(
    adata: AnnData | SpatialData,
    key: str = _keys.SEMST,
    *,
    use_rep: str = _keys.GENE_SEMANTICS,
    method: str = "pca",
    palette: str | Sequence[Any] | Mapping[str, Any] | None = None,
    rng: Seed = 0,
    table_key: str = _keys.TABLE,
    ax: Axes | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    **kwargs: Any,
) -> Axes:
    """Draw the semantic vectors of spots in two dimensions, coloured by domain.

    Parameters
    ----------
    adata
        Annotated data matrix. Nothing but the palette is written to it.
    key
        Key in `obs` of the labels.
    use_rep
        Key in `obsm` of the vectors, from :func:`scsemst.pp.gene_semantics` or another step.
    method
        `"pca"`, or `"umap"`, which takes longer.
    palette
        Colours of the labels, as in :func:`scsemst.pl.domains`.
    rng
        Seed or generator of the UMAP.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.
    **kwargs
        Passed on to :func:`scanpy.pl.embedding`.

    Returns
    -------
    The axes. Sets `adata.uns[f"{key}_colors"]`.

    Raises
    ------
    KeyError
        If labels or vectors are missing; says which call writes them.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> adata.obsm["X_gene_semantics"] = adata.X[:, :50].toarray()  # stands for scsemst.pp.gene_semantics(adata)
    >>> ax = scsemst.pl.semantics(adata, "ground_truth", show=False)
    >>> ax.get_xlabel()
    'PCA1'
    """
    import anndata as ad
    import pandas as pd
    import scanpy as sc

    from ._figure import finish, grid
    from ._labels import categories
    from ._palette import NA_COLOR, resolve

    adata = get_table(adata, table_key)
    require_in(method, ("pca", "umap"), name="method")
    vectors = require_key(adata, "obsm", use_rep, fix="Run scsemst.pp.gene_semantics(adata) first, or pass use_rep=.")
    labels = categories(adata, key)
    colors = resolve(adata, key, labels, palette)
    space = ad.AnnData(
        obs=pd.DataFrame({key: labels}, index=adata.obs_names),
        uns={_keys.colors(key): colors},
        obsm={"X_pca": sc.pp.pca(np.asarray(vectors, dtype=np.float32), n_comps=min(30, *np.shape(vectors)) - 1)},
    )
    if method == "umap":
        seed = int(np.random.default_rng(rng).integers(2**31))
        sc.pp.neighbors(space, use_rep="X_pca", random_state=seed)
        sc.tl.umap(space, random_state=seed)
    panel = ax if ax is not None else grid(1, size=(6, 4.5))[1][0]
    sc.pl.embedding(space, method, color=key, na_color=NA_COLOR, ax=panel, show=False, **{"frameon": True, **kwargs})
    panel.set(xlabel=f"{method.upper()}1", ylabel=f"{method.upper()}2")
    for collection in panel.collections:
        collection.set_rasterized(True)
    adata.uns[_keys.colors(key)] = colors
    return finish(panel, "semantics", show=show, save=save, given=ax is not None)
