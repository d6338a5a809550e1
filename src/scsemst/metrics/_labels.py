"""Labels as integers, and rows that have one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._checks import as_generator, require_finite, require_integer


def labelled(*columns: ArrayLike, rows: ArrayLike | None = None, name: str = "coords") -> tuple[np.ndarray, ...]:
    """Return integer codes of each column, and `rows` if given, for the spots labelled in all columns."""
    codes = [_codes(column) for column in columns]
    others = [] if rows is None else [matrix(rows, name=name)]
    lengths = {len(values) for values in (*codes, *others)}
    if len(lengths) != 1:
        raise ValueError(f"All arguments must have one entry per spot, found lengths {sorted(lengths)}.")
    known = np.all([code >= 0 for code in codes], axis=0)
    if not known.any():
        raise ValueError("No spot has a label: all are NaN.")
    for values in others:
        require_finite(values[known], name=name)
    return tuple(values[known] for values in (*codes, *others))


def matrix(rows: ArrayLike, *, name: str) -> np.ndarray:
    """Return numbers per spot as an array of two dimensions."""
    values = np.asarray(rows)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"{name} must be spots × columns, found shape {values.shape}.")
    if values.dtype.kind not in "buif":
        raise TypeError(f"{name} holds values of type {values.dtype}, not numbers. Convert them first.")
    return values.astype(float)


def _codes(column: ArrayLike) -> np.ndarray:
    values = np.asarray(column, dtype=object)
    if values.ndim != 1:
        raise ValueError(f"Labels must have one entry per spot, found shape {values.shape}.")
    return pd.factorize(values)[0]


def sample(n: int, n_max: int, rng: int | np.random.Generator | None) -> np.ndarray:
    """Return at most `n_max` of `n` row numbers, in order."""
    n_max = require_integer(n_max, name="n_max", minimum=1)
    return np.arange(n) if n <= n_max else np.sort(as_generator(rng).choice(n, n_max, replace=False))
