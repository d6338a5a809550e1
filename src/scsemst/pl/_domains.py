"""Domains on the tissue."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import _keys
from .._checks import available
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
    library_id: str | Sequence[str] | None = None,
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
    library_id
        Slices to draw, all of them if `None`; without `library_key` the image in `uns[spatial_key]` to draw over, needed
        only if there are several.
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
        Passed on to :func:`squidpy.pl.spatial_scatter`; its `color` is `key` here, its `fig` that of `ax`.

    Returns
    -------
    The axes, or a list of them if several panels were drawn. Sets `adata.uns[f"{key}_colors"]`, unless `adata` is a view.

    Raises
    ------
    KeyError
        If labels or coordinates are missing; says which call writes them.
    ValueError
        If there is no such slice or image.

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
    if taken := {"color", "fig"} & kwargs.keys():
        raise TypeError(f"domains takes no {', '.join(sorted(taken))}=. Pass key= for labels, ax= to draw in a figure.")
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
    images = _images(adata, spatial_key, None if library_key else library_id)
    res = kwargs.get("img_res_key") or _resolution(images)
    images = {name: entry for name, entry in images.items() if _has_image(entry, res)}
    tissue = _stand_in(adata, labels, coords, spatial_key=spatial_key)
    slices = _slices(adata, tissue, library_key, library_id)
    # Without slices, which of several images is whose, nobody has said
    if set(slices) <= images.keys() if library_key else len(images) == 1:
        tissue.uns[spatial_key] = images
    tissue.uns.update({_keys.colors(name): list(distinct(colors[name])) for name in keys})
    has_image = spatial_key in tissue.uns
    n_panels = len(keys) * len(slices)
    titles = _titles(title, keys, slices, library_first=kwargs.get("library_first", True))

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


def _stand_in(adata: AnnData, labels: Mapping[str, pd.Categorical], coords: Any, *, spatial_key: str) -> AnnData:
    import anndata as ad

    return ad.AnnData(obs=pd.DataFrame(dict(labels), index=adata.obs_names), obsm={spatial_key: coords})


def _slices(adata: AnnData, tissue: AnnData, key: str | None, chosen: str | Sequence[str] | None) -> list[Any]:
    """Add the slices to what is drawn, and return those chosen; without a key a single one that has no name."""
    from ._labels import categories

    if key is None:
        return [None]
    tissue.obs[key] = categories(adata, key, fix="Pass library_key= to name the slices.")
    known = {str(name): name for name in tissue.obs[key].cat.categories}
    if chosen is None:
        return list(known.values())
    wanted = [str(name) for name in ([chosen] if isinstance(chosen, str) else chosen)]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(
            f"library_id: {available(unknown)} not found in adata.obs[{key!r}] (available: {available(known)})."
        )
    return [known[name] for name in wanted]


def _images(adata: AnnData, key: str, chosen: Any) -> dict[str, Any]:
    """Return the entries of `uns` that may be images; CELLxGENE's flags, for one, are none."""
    libraries = adata.uns.get(key)
    libraries = dict(libraries) if isinstance(libraries, Mapping) else {}
    if chosen is None:
        return libraries
    if chosen not in libraries:
        raise ValueError(
            f"library_id={chosen!r} not found in adata.uns[{key!r}] (available: {available(libraries)}). To draw some slices "
            "of several, pass library_key=, too."
        )
    return {chosen: libraries[chosen]}


def _resolution(libraries: Mapping[str, Any]) -> str:
    """Return the finest resolution of which there is an image."""
    entries = libraries.values()
    return next((res for res in ("hires", "lowres") if any(_has_image(entry, res) for entry in entries)), "hires")


def _has_image(entry: Any, res: str) -> bool:
    """Whether an entry of `uns` has an image of a resolution, and what it takes to draw it."""
    if not isinstance(entry, Mapping):
        return False
    images, scales = (entry.get(name) or {} for name in ("images", "scalefactors"))
    return res in images and {f"tissue_{res}_scalef", "spot_diameter_fullres"} <= set(scales)


def _titles(title: str | Sequence[str] | None, keys: list[str], slices: list[Any], *, library_first: bool) -> list[str]:
    given = [title] if isinstance(title, str) else list(title or keys)
    if len(given) == len(keys):  # squidpy draws all keys of a slice, then the next slice, unless told otherwise
        panels = [(library, name) for library in slices for name in given]
        panels = panels if library_first else [(library, name) for name in given for library in slices]
        given = [name if library is None else f"{library}: {name}" for library, name in panels]
    if len(given) != len(keys) * len(slices):
        raise ValueError(f"title has {len(given)} entries, but {len(keys) * len(slices)} panels are to be drawn.")
    return given
