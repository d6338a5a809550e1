"""Domains on the tissue."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import _keys
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData


def domains(
    adata: AnnData | SpatialData,
    key: str | Sequence[str] = _keys.SEMST,
    *,
    library_key: str | None = None,
    spatial_key: str = _keys.SPATIAL,
    title: str | Sequence[str] | None = None,
    palette: str | Sequence[Any] | Mapping[str, Any] | None = None,
    size: float | None = None,
    ncols: int = 3,
    table_key: str = _keys.TABLE,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    **kwargs: Any,
) -> Axes | list[Axes]:
    """Draw domains on the tissue, over its image if there is one.

    Drawn by :func:`squidpy.pl.spatial_scatter`: the y axis points down, as in images.

    Parameters
    ----------
    adata
        Annotated data matrix with coordinates in `obsm[spatial_key]`. Nothing but the palette is written to it.
    key
        Key in `obs` of the labels, or several, drawn beside each other, for example the annotation and the domains.
        Labels without a palette of their own then take the colours of the first key's labels they share most spots
        with.
    library_key
        Key in `obs` of the slice, to draw each slice in its own axes.
    spatial_key
        Key in `obsm` of the coordinates, and in `uns` of images.
    title
        Title of each panel; the keys if not given.
    palette
        Colours of the labels: name of a matplotlib colormap, one colour per label, or label to colour. If not given,
        those in `uns`, or else colours that colour-blind people can tell apart (up to eleven labels).
    size
        Size of the spots, as in squidpy: a factor with an image, else points².
    ncols
        Most panels in a row.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.
    ax
        Axes to draw on, one per panel.
    show
        Show the figure; by default as `scanpy.settings.autoshow` says, and not if `ax` is given.
    save
        As in scanpy: save to `scanpy.settings.figdir`, `True` under the default name, a string as the name's end. A
        path with a folder is taken as it is.
    **kwargs
        Passed on to :func:`squidpy.pl.spatial_scatter`.

    Returns
    -------
    The axes, or a list of them if several panels were drawn. Sets `adata.uns[f"{key}_colors"]`, unless `adata` is a view.

    Raises
    ------
    KeyError
        If labels or coordinates are missing; says which call writes them.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> ax = scsemst.pl.domains(adata, "ground_truth", show=False)
    >>> ax.get_title()
    'ground_truth'
    """
    import squidpy as sq

    from ._figure import finish, grid, panels
    from ._labels import categories
    from ._palette import NA_COLOR, distinct, keep, matched, resolve
    from ._tissue import coordinates, rasterize

    adata = get_table(adata, table_key)
    if not isinstance(key, str) and not hasattr(key, "__iter__"):
        raise TypeError(f"key must be a string or several, found {key!r}.")
    keys = [key] if isinstance(key, str) else list(key)
    if not keys:
        raise ValueError("key is empty. Pass the key of labels in adata.obs.")
    labels = {name: categories(adata, name) for name in keys}
    coords = coordinates(adata, spatial_key)
    colors: dict[str, list[str]] = {}
    for name in keys:
        colors[name] = resolve(adata, name, labels[name], palette)
        if palette is None and name != keys[0] and _keys.colors(name) not in adata.uns:
            colors[name] = matched(labels[name], labels[keys[0]], colors[keys[0]])

    # A light stand-in for adata: squidpy turns strings into categories in place, and subsets X for each slice
    res = kwargs.get("img_res_key") or _resolution(adata.uns.get(spatial_key))
    tissue = _stand_in(adata, labels, coords, library_key=library_key, spatial_key=spatial_key, res=res)
    tissue.uns.update({_keys.colors(name): list(distinct(colors[name])) for name in keys})
    has_image = spatial_key in tissue.uns
    slices = list(tissue.obs[library_key].cat.categories) if library_key else [None]
    n_panels = len(keys) * len(slices)
    titles = _titles(title, keys, slices)

    axes = panels(ax, n_panels)
    if axes is None:
        _, axes = grid(n_panels, ncols=ncols, size=(6, 4.5))
    options: dict[str, Any] = {
        "shape": "circle" if has_image else None,
        "img": has_image,
        "img_res_key": res,
        "na_color": NA_COLOR,
        "frameon": False,
    }
    if size is not None:
        options["size"] = size
    with warnings.catch_warnings():
        # squidpy hands a colormap to matplotlib for labels, too
        warnings.filterwarnings("ignore", message="No data for colormapping")
        sq.pl.spatial_scatter(
            tissue,
            color=keys,
            spatial_key=spatial_key,
            fig=axes[0].figure,
            ax=axes if n_panels > 1 else axes[0],
            title=titles,
            **(
                {"library_key": library_key, "library_id": slices}
                if library_key
                else {}
                if has_image
                else {"library_id": ""}
            ),
            **{**options, **kwargs},
        )
    for panel in axes:
        rasterize(panel)
    for name in keys:
        keep(adata, name, labels[name], colors[name])
    return finish(axes if n_panels > 1 else axes[0], "domains", show=show, save=save, given=ax is not None)


def _stand_in(
    adata: AnnData,
    labels: Mapping[str, pd.Categorical],
    coords: Any,
    *,
    library_key: str | None,
    spatial_key: str,
    res: str,
) -> AnnData:
    import anndata as ad

    from ._labels import categories

    obs = pd.DataFrame(dict(labels), index=adata.obs_names)
    if library_key is not None:
        obs[library_key] = categories(adata, library_key, fix="Pass library_key= to name the slices.")
    # Other entries than images, such as CELLxGENE's flags, and images that are not there, are not for squidpy
    libraries = adata.uns.get(spatial_key) or {}
    images = {name: entry for name, entry in libraries.items() if _has_image(entry, res)}
    drawable = bool(images)
    if library_key is not None and drawable:
        drawable = set(obs[library_key].cat.categories) <= images.keys()
    elif len(images) > 1:
        drawable = False  # which image is whose, nobody has said
    return ad.AnnData(obs=obs, obsm={spatial_key: coords}, uns={spatial_key: dict(images)} if drawable else {})


def _resolution(libraries: Mapping[str, Any] | None) -> str:
    """Return the finest resolution of which there is an image."""
    entries = list(libraries.values()) if libraries else []
    return next((res for res in ("hires", "lowres") if any(_has_image(entry, res) for entry in entries)), "hires")


def _has_image(entry: Any, res: str) -> bool:
    """Whether an entry of `uns` has an image of a resolution, and what it takes to draw it."""
    if not isinstance(entry, Mapping):
        return False
    scales = entry.get("scalefactors", {})
    return res in entry.get("images", {}) and {f"tissue_{res}_scalef", "spot_diameter_fullres"} <= set(scales)


def _titles(title: str | Sequence[str] | None, keys: list[str], slices: list[str | None]) -> list[str]:
    given = [title] if isinstance(title, str) else list(title or keys)
    if len(given) == len(keys):  # squidpy draws all keys of a slice, then the next slice
        given = [name if library is None else f"{library}: {name}" for library in slices for name in given]
    if len(given) != len(keys) * len(slices):
        raise ValueError(f"title has {len(given)} entries, but {len(keys) * len(slices)} panels are to be drawn.")
    return given
