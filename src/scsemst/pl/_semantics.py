"""The semantic space of spots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _keys
from .._checks import as_generator, features, require_in
from .._table import get_table
from .._threads import keep_torch_threads

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
    method: Literal["pca", "umap", "tissue"] = "pca",
    palette: str | Sequence[Any] | Mapping[str, Any] | None = None,
    spatial_key: str = _keys.SPATIAL,
    rng: Seed = 0,
    table_key: str = _keys.TABLE,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    **kwargs: Any,
) -> Axes | list[Axes]:
    """Draw the semantic vectors of spots in two dimensions, coloured by domain, or on the tissue.

    Parameters
    ----------
    adata
        Annotated data matrix. Nothing but the palette is written to it.
    key
        Key in `obs` of the labels; not read with `method="tissue"`.
    use_rep
        Key in `obsm` of the vectors, from :func:`scsemst.pp.gene_semantics` or another step.
    method
        The plane: `"pca"`, or `"umap"`, which takes longer. `"tissue"` draws the first three principal components on
        the tissue, each in its own panel.
    palette
        Colours of the labels, as in :func:`scsemst.pl.domains`.
    spatial_key
        Key in `obsm` of the coordinates, for `method="tissue"`.
    rng
        Seed or generator of the UMAP.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on; three with `method="tissue"`.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.
    **kwargs
        Passed on to :func:`scanpy.pl.embedding`, or to :func:`squidpy.pl.spatial_scatter` with `method="tissue"`.

    Returns
    -------
    The axes, a list of them with `method="tissue"`. With labels sets
    `adata.uns[f"{key}_colors"]`, unless `adata` is a view.

    Raises
    ------
    KeyError
        If labels, vectors or coordinates are missing; says which call writes them.

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

    from ._figure import finish, grid, panels
    from ._labels import categories
    from ._palette import NA_COLOR, keep, resolve
    from ._tissue import draw_values, rasterize

    adata = get_table(adata, table_key)
    require_in(method, ("pca", "umap", "tissue"), name="method")
    vectors = features(adata, use_rep, fix="Run scsemst.pp.gene_semantics(adata) first, or pass use_rep=.")
    vectors = vectors.astype(np.float32)
    least = min(30, *vectors.shape)
    whole = least <= 3  # so few dimensions that none can be spared
    components = sc.pp.pca(vectors, n_comps=least - (not whole), svd_solver="full" if whole else None)
    if components.shape[1] == 1 and method == "pca":
        raise ValueError(f"adata.obsm[{use_rep!r}] has one dimension, a plot takes two. Pass method='tissue'.")
    if method == "tissue":
        drawn = {f"{use_rep}, component {i + 1}": column for i, column in enumerate(components.T[:3])}
        axes = draw_values(adata, drawn, ax, spatial_key=spatial_key, **{"cmap": "PuOr_r", **kwargs})
        return finish(axes, "semantics", show=show, save=save, given=ax is not None)

    labels = categories(adata, key)
    colors = resolve(adata, key, labels, palette)
    space = ad.AnnData(
        obs=pd.DataFrame({key: labels}, index=adata.obs_names),
        uns={_keys.colors(key): colors},
        obsm={"X_pca": components},
    )
    if method == "umap":
        seed = int(as_generator(rng).integers(2**31))
        with keep_torch_threads():
            sc.pp.neighbors(space, use_rep="X_pca", random_state=seed)
            sc.tl.umap(space, random_state=seed)
    panel = (panels(ax, 1) or grid(1, size=(6, 4.5))[1])[0]
    sc.pl.embedding(space, method, color=key, na_color=NA_COLOR, ax=panel, show=False, **{"frameon": True, **kwargs})
    panel.set(xlabel=f"{method.upper()}1", ylabel=f"{method.upper()}2")
    rasterize(panel)
    keep(adata, key, labels, colors)
    return finish(panel, "semantics", show=show, save=save, given=ax is not None)
