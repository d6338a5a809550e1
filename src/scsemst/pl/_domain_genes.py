"""Marker genes of domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _keys
from .._checks import expression, require_in, require_integer, require_names, require_nonnegative
from .._chunks import whole
from .._table import get_table
from .._threads import keep_torch_threads

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData


def domain_genes(
    adata: AnnData | SpatialData,
    key: str = _keys.SEMST,
    *,
    n_genes: int = 4,
    layer: str | None = None,
    method: str = "wilcoxon",
    table_key: str = _keys.TABLE,
    ax: Axes | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    **kwargs: Any,
) -> dict[str, Axes]:
    """Draw the marker genes of each domain as a dot plot.

    Genes are ranked by :func:`scanpy.tl.rank_genes_groups` on a copy, and drawn by
    :func:`scanpy.pl.rank_genes_groups_dotplot`; nothing is written to `adata`.

    Parameters
    ----------
    adata
        Annotated data matrix.
    key
        Key in `obs` of the labels. Spots without label, and domains of a single spot, are left out.
    n_genes
        Number of genes per domain.
    layer
        Layer with the expression, `None` for `X`. Counts are normalised to 10,000 per spot and log-transformed first;
        other values are taken as they are.
    method
        Test of :func:`scanpy.tl.rank_genes_groups`.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw in.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.
    **kwargs
        Passed on to :func:`scanpy.pl.rank_genes_groups_dotplot`.

    Returns
    -------
    The axes of the dot plot by name, as scanpy returns them; `"mainplot_ax"` has the dots.

    Raises
    ------
    KeyError
        If the labels or the layer are missing.
    ValueError
        If there are fewer than two domains of two spots.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:, :200].copy()
    >>> axes = scsemst.pl.domain_genes(adata, "ground_truth", n_genes=2, show=False)
    >>> len(axes["mainplot_ax"].get_yticklabels())
    7
    """
    import anndata as ad
    import pandas as pd
    import scanpy as sc

    from ._figure import finish, panels
    from ._labels import categories

    adata = get_table(adata, table_key)
    if "return_fig" in kwargs:
        raise TypeError("domain_genes returns axes and takes no return_fig=. Use scanpy.pl.rank_genes_groups_dotplot.")
    given = panels(ax, 1)
    require_in(method, ("logreg", "t-test", "t-test_overestim_var", "wilcoxon"), name="method")
    # Names, not truth values: scanpy would take a domain `False` for none
    labels = pd.Series(categories(adata, key).rename_categories(str), index=adata.obs_names)
    name = f"adata.layers[{layer!r}]" if layer else "adata.X"
    x = whole(expression(adata, layer), name=name, nonnegative=False)
    n_genes = require_integer(n_genes, name="n_genes", minimum=1, maximum=adata.n_vars)
    sizes = labels.value_counts()
    several = labels.isin(sizes.index[sizes > 1]).to_numpy()
    if (sizes > 1).sum() < 2:
        raise ValueError(f"adata.obs[{key!r}] has fewer than two domains of at least two spots: no markers to find.")
    kept = ad.AnnData(x[several], var=pd.DataFrame(index=adata.var_names.rename(None)))
    require_names(kept)
    while key in kept.var_names:  # scanpy would not know which of the two is meant
        key = f"{key} "
    kept.obs[key] = labels[several].cat.remove_unused_categories().to_numpy()
    if np.array_equal(kept.X.data, np.rint(kept.X.data)):
        require_nonnegative(kept.X, name=name)
        sc.pp.normalize_total(kept, target_sum=1e4)
        sc.pp.log1p(kept)
    with keep_torch_threads():
        sc.tl.rank_genes_groups(kept, key, method=method, use_raw=False, n_genes=n_genes)
    options = {"standard_scale": "var", "dendrogram": False, **kwargs}
    axes = sc.pl.rank_genes_groups_dotplot(kept, n_genes=n_genes, ax=given and given[0], show=False, **options)
    finish(axes["mainplot_ax"], "domain_genes", show=show, save=save, given=ax is not None)
    return axes
