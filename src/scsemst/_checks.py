"""Checks shared by the public functions: each error names the key, what was found, and the call that fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from ._types import Matrix


def available(names: Iterable[str]) -> str:
    """List `names` for an error message."""
    names = [repr(name) for name in names]
    return ", ".join(names) if names else "none"


def require_key(adata: AnnData, attribute: str, key: str, *, fix: str) -> Any:
    """Return `adata.<attribute>[key]`, or raise a `KeyError` that says which call writes it."""
    mapping = getattr(adata, attribute)
    if key not in mapping:
        raise KeyError(f"adata.{attribute}[{key!r}] not found (available: {available(mapping.keys())}). {fix}")
    return mapping[key]


def require_names(adata: AnnData) -> None:
    """Raise unless spots and genes have unique names."""
    for axis, names in (("obs", adata.obs_names), ("var", adata.var_names)):
        if not names.is_unique:
            duplicate = names[names.duplicated()][0]
            raise ValueError(
                f"adata.{axis}_names has duplicates ({duplicate!r} among them). "
                f"Run adata.{axis}_names_make_unique() first."
            )


def expression(adata: AnnData, layer: str | None = None) -> Matrix:
    """Return the expression matrix, `X` or a layer, as it is stored."""
    if layer is not None:
        return require_key(adata, "layers", layer, fix="Pass layer=None to use adata.X.")
    if adata.X is None:
        raise ValueError(f"adata.X is None (layers: {available(adata.layers)}). Pass layer= to name one of them.")
    return adata.X


def values(x: Matrix) -> np.ndarray:
    """Return the stored values of a matrix in memory: the non-zeros if it is sparse, else all."""
    return x.data if sparse.issparse(x) else np.asarray(x)


def require_finite(x: Matrix, *, name: str) -> None:
    """Raise if a matrix in memory has NaN or infinite values."""
    v = values(x)
    if v.size and not np.isfinite(v).all():
        raise ValueError(
            f"{name} has {int((~np.isfinite(v)).sum())} NaN or infinite values. Remove or impute them first."
        )


def require_nonnegative(x: Matrix, *, name: str) -> None:
    """Raise if a matrix in memory has negative values."""
    v = values(x)
    if v.size and v.min() < 0:
        raise ValueError(
            f"{name} has negative values (minimum {v.min():.3g}): it looks scaled. "
            "Pass layer= to name the matrix of raw counts."
        )


def require_counts(x: Matrix, *, name: str) -> None:
    """Raise unless a matrix in memory holds non-negative whole numbers."""
    require_finite(x, name=name)
    require_nonnegative(x, name=name)
    v = values(x)
    if v.size and not np.array_equal(v, np.rint(v)):
        odd = v[v != np.rint(v)].flat[0]
        raise ValueError(
            f"{name} holds values that are not counts ({odd:.4g} among them). Pass layer= to name the matrix of raw "
            'counts, or likelihood="gaussian" if the data are normalised and no counts exist.'
        )


def require_in(value: object, allowed: Iterable[object], *, name: str) -> None:
    """Raise a `ValueError` unless `value` is one of `allowed`."""
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}.")


def require_integer(value: object, *, name: str, minimum: int, maximum: int | None = None, hint: str = "") -> int:
    """Return `value` as `int`, or raise unless it is a whole number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, found {value!r} of type {type(value).__name__}.")
    if value < minimum or (maximum is not None and value > maximum):
        bounds = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
        raise ValueError(f"{name} must be {bounds}, found {value}.{' ' + hint if hint else ''}")
    return int(value)
