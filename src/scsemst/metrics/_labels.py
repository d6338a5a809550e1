"""Labels as integers, and rows that have one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def labelled(*columns: ArrayLike, rows: ArrayLike | None = None) -> tuple[np.ndarray, ...]:
    """Return integer codes of each column, and `rows` if given, for the spots labelled in all columns."""
    codes = [pd.factorize(np.asarray(column, dtype=object))[0] for column in columns]
    others = [] if rows is None else [np.asarray(rows, dtype=float)]
    lengths = {len(values) for values in (*codes, *others)}
    if len(lengths) != 1:
        raise ValueError(f"All arguments must have one entry per spot, found lengths {sorted(lengths)}.")
    known = np.all([code >= 0 for code in codes], axis=0)
    if not known.any():
        raise ValueError("No spot has a label: all are NaN.")
    return tuple(values[known] for values in (*codes, *others))


def sample(n: int, n_max: int, rng: int | np.random.Generator | None) -> np.ndarray:
    """Return at most `n_max` of `n` row numbers, in order."""
    return np.arange(n) if n <= n_max else np.sort(np.random.default_rng(rng).choice(n, n_max, replace=False))
