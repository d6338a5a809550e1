"""Colours of domains, kept in `uns` as scanpy does."""

from __future__ import annotations

import warnings
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import _keys
from .._checks import available

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

NA_COLOR = "lightgrey"

# Paul Tol's "muted" scheme, distinct to colour-blind eyes, and two of his older one: no grey, which means "no label"
TOL = (
    "#332288", "#ddcc77", "#44aa99", "#cc6677", "#88ccee", "#117733",
    "#aa4499", "#999933", "#882255", "#6699cc", "#661100",
)  # fmt: skip


def default_palette(n: int) -> list[str]:
    """Return `n` colours: distinct to colour-blind eyes up to eleven, scanpy's larger palettes beyond."""
    from scanpy.plotting import palettes

    for palette in (TOL, palettes.default_20, palettes.default_28, palettes.default_102):
        if n <= len(palette):
            return list(palette[:n])
    return [palettes.default_102[i % len(palettes.default_102)] for i in range(n)]


def resolve(adata: AnnData, key: str, labels: pd.Categorical, palette: Any) -> list[str]:
    """Return one colour per category in use: those asked for, else those in `uns`, else the default."""
    import matplotlib as mpl
    from matplotlib.colors import is_color_like, to_hex

    names = list(labels.categories)
    if hasattr(palette, "by_key"):  # matplotlib's cycler
        palette = list(islice(cycle(palette.by_key().get("color", [NA_COLOR])), len(names)))
    if isinstance(palette, str):
        if palette not in mpl.colormaps:
            raise ValueError(f"palette={palette!r} is no colormap of matplotlib. See list(matplotlib.colormaps).")
        colormap = mpl.colormaps[palette]
        qualitative = colormap.N < 256
        palette = [colormap(i % colormap.N if qualitative else i / max(len(names) - 1, 1)) for i in range(len(names))]
    elif palette is not None and hasattr(palette, "keys"):
        known = {str(name): color for name, color in palette.items()}  # labels are drawn as strings
        missing = [name for name in names if str(name) not in known]
        if missing:
            raise ValueError(
                f"palette has no colour for {missing} of adata.obs[{key!r}] (available: {available(known)})."
            )
        palette = [known[str(name)] for name in names]
    elif palette is not None:
        if not hasattr(palette, "__len__"):
            raise TypeError(f"palette must be a colormap's name, colours, or label to colour, found {palette!r}.")
        if len(palette) < len(names):
            raise ValueError(f"palette has {len(palette)} colours, but adata.obs[{key!r}] has {len(names)} categories.")
        palette = list(palette)[: len(names)]
    else:
        every = _palette_of(adata, key, labels, warn=True)
        palette = [every[i] for i in _positions(adata, key, labels)]
    for color in palette:
        if not is_color_like(color):
            raise ValueError(f"palette of adata.obs[{key!r}]: {color!r} is no colour.")
    return [to_hex(color) for color in palette]


def keep(adata: AnnData, key: str, labels: pd.Categorical, colors: Sequence[str]) -> None:
    """Write colours to `uns` but of a view, for all categories as scanpy expects, those without a spot among them."""
    palette = _palette_of(adata, key, labels)
    for position, color in zip(_positions(adata, key, labels), colors, strict=True):
        palette[position] = color
    if not adata.is_view:  # writing to one would copy all of it
        adata.uns[_keys.colors(key)] = palette


def _all_categories(adata: AnnData, key: str, labels: pd.Categorical) -> pd.Index:
    dtype = adata.obs[key].dtype
    return dtype.categories if isinstance(dtype, pd.CategoricalDtype) else labels.categories


def _positions(adata: AnnData, key: str, labels: pd.Categorical) -> list[int]:
    """Return the position of each category in use among all of the column."""
    return _all_categories(adata, key, labels).get_indexer(labels.categories).tolist()


def _palette_of(adata: AnnData, key: str, labels: pd.Categorical, *, warn: bool = False) -> list[str]:
    """Return a colour for each category of the column: those in `uns`, or the default if they are not as many."""
    from matplotlib.colors import is_color_like, to_hex

    n, stored = len(_all_categories(adata, key, labels)), adata.uns.get(_keys.colors(key), ())
    if len(stored) != n:
        return default_palette(n)
    # As in scanpy, what is no colour, such as R's "grey80", costs the palette but not the plot
    if odd := [str(color) for color in stored if not is_color_like(color)]:
        if warn:
            warnings.warn(
                f"adata.uns[{_keys.colors(key)!r}] has what is no colour ({available(odd[:3])}): the default colours are "
                "drawn.",
                stacklevel=4,
            )
        return default_palette(n)
    return [to_hex(color) for color in stored]


def matched(labels: pd.Categorical, reference: pd.Categorical, colors: Sequence[str]) -> list[str]:
    """Return colours for `labels` such that categories look like those of `reference` they share most spots with."""
    from scipy.optimize import linear_sum_assignment

    n, m = len(labels.categories), len(reference.categories)
    both = (labels.codes >= 0) & (reference.codes >= 0)
    overlap = np.zeros((n, m))
    np.add.at(overlap, (labels.codes[both], reference.codes[both]), 1)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    found = {row: colors[column] for row, column in zip(rows, columns, strict=True)}
    spare = iter([color for color in default_palette(n + m) if color not in set(colors)])
    return [found[i] if i in found else next(spare) for i in range(n)]


def distinct(colors: Sequence[str]) -> Iterator[str]:
    """Shift repeated colours by an invisible step: squidpy can't draw two labels of one colour beside missing ones."""
    from matplotlib.colors import to_hex

    seen = {to_hex(NA_COLOR)}
    for color in colors:
        value = int(color[1:], 16)
        while f"#{value:06x}" in seen:
            value = value - 1 if value else 0xFFFFFF
        seen.add(f"#{value:06x}")
        yield f"#{value:06x}"
