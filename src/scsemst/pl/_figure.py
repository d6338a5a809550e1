"""What scanpy does at the end of each plot: show, save, return."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._checks import require_integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    Drawn = TypeVar("Drawn", bound=Axes | list[Axes])


def finish(axes: Drawn, name: str, *, show: bool | None, save: bool | str | Path | None, given: bool) -> Drawn:
    """Save and show a figure by scanpy's settings, and return its axes.

    Parameters
    ----------
    axes
        What was drawn.
    name
        Start of the file name.
    show
        `None` shows unless the axes were the caller's, by `scanpy.settings.autoshow`.
    save
        As in scanpy: `True`, or the end of the file's name in `scanpy.settings.figdir`. A path with a folder is taken
        as it is.
    given
        Whether the axes were the caller's.
    """
    import matplotlib.pyplot as plt
    from scanpy import settings

    figure: Any = (axes[0] if isinstance(axes, list) else axes).get_figure(root=True)
    if save:
        end = "" if isinstance(save, bool) else os.fspath(save)
        folder, file = os.path.split(os.path.expanduser(end))
        # Not by pathlib, for which "./x" and "x" are the same
        path = Path(folder) / (file or name) if folder else Path(settings.figdir) / f"{name}{end}"
        if path.suffix.removeprefix(".").lower() not in figure.canvas.get_supported_filetypes():
            path = path.with_name(f"{path.name}.{settings.file_format_figs}")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight")
    if show or (show is None and settings.autoshow and not given):
        plt.show()
    return axes


def grid(n_panels: int, *, ncols: int = 3, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Make a figure with one axes per panel, `size` inches each."""
    import matplotlib.pyplot as plt

    if n_panels == 0:
        raise ValueError("There is nothing to draw: every slice or label is NaN.")
    ncols = min(n_panels, require_integer(ncols, name="ncols", minimum=1))
    nrows = -(-n_panels // ncols)
    figure, axes = plt.subplots(
        nrows, ncols, figsize=(size[0] * ncols, size[1] * nrows), squeeze=False, layout="constrained"
    )
    for spare in axes.flat[n_panels:]:
        spare.remove()
    return figure, list(axes.flat[:n_panels])


def curves(
    axes: Sequence[Axes],
    x: ArrayLike,
    values: Mapping[str, ArrayLike],
    *,
    mark: float,
    label: str,
    **xaxis: Any,
) -> None:
    """Draw each of `values` over `x` in a panel of its own, all with a dotted line at `mark`.

    Parameters
    ----------
    axes
        One per entry of `values`.
    x
        What they are drawn over, whole numbers.
    values
        Titles and heights.
    mark
        Where the line is.
    label
        What the line means; the first panel has it as its legend.
    xaxis
        Passed on to :meth:`matplotlib.axes.Axes.set`.
    """
    from matplotlib.ticker import MaxNLocator

    for panel, (title, heights) in zip(axes, values.items(), strict=True):
        panel.plot(x, heights, color="#332288", marker="." if np.size(x) < 30 else None)
        panel.axvline(mark, color="grey", linestyle=":", label=label)
        panel.set(title=title, **xaxis)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(edgecolor="none", fontsize="small")


def panels(ax: Axes | Sequence[Axes] | None, n: int) -> list[Axes] | None:
    """Return the caller's axes as a list of `n`, or `None` if there are none."""
    if ax is None:
        return None
    from matplotlib.axes import Axes as Panel

    axes: list[Axes] = list(np.ravel(np.asarray(ax, dtype=object)))
    if odd := [type(one).__name__ for one in axes if not isinstance(one, Panel)]:
        raise TypeError(f"ax must be axes of matplotlib, or a list of them, found {odd[0]}.")
    if len(axes) != n:
        raise ValueError(f"ax has {len(axes)} axes, but {n} panels are to be drawn. Pass a list of {n}.")
    return axes
