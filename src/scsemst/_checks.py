"""Checks shared by the public functions: each error names the key, what was found, and the call that fixes it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from ._types import Matrix, Seed

_LARGEST_COUNT = 2**24


def available(names: Iterable[str | None]) -> str:
    """List `names` for an error message."""
    # From anndata 0.13 on, X is among the layers, as None
    found = [repr(name) for name in names if name is not None]
    return ", ".join(found) if found else "none"


def require_string(value: object, *, name: str) -> None:
    """Raise unless `value` is a string that is not empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, found {value!r} of type {type(value).__name__}.")
    if not value:
        raise ValueError(f"{name} must be a string, found an empty one.")


def require_new_key(value: object, *, name: str) -> None:
    """Raise unless `value` can name what is written to AnnData."""
    require_string(value, name=name)
    if "/" in str(value):
        raise ValueError(f"{name}={value!r} has a slash, and h5ad files cannot be read back with one. Leave it out.")


def require_key(adata: AnnData, attribute: str, key: str, *, fix: str) -> Any:
    """Return `adata.<attribute>[key]`, or raise a `KeyError` that says which call writes it."""
    if not isinstance(key, str):
        found = f"{key!r} of type {type(key).__name__}"
        raise TypeError(f"A key in adata.{attribute} must be a string, found {found}. {fix}")
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
    if adata.n_vars == 0:
        raise ValueError(f"adata has no genes (shape {adata.shape}). Was every gene filtered out?")
    if layer is not None:
        return require_key(adata, "layers", layer, fix="Pass layer=None to use adata.X.")
    if adata.X is None:
        raise ValueError(f"adata.X is None (layers: {available(adata.layers)}). Pass layer= to name one of them.")
    return adata.X


def values(x: Matrix) -> np.ndarray:
    """Return the stored values of a matrix in memory: the non-zeros if it is sparse, else all."""
    return np.asarray(x.data if sparse.issparse(x) else x)


def require_finite(x: Matrix, *, name: str) -> None:
    """Raise if a matrix in memory has NaN or infinite values, or none that are real numbers."""
    v = values(x)
    if v.dtype.kind not in "buif":
        raise TypeError(f"{name} holds values of type {v.dtype}, not numbers. Convert them first.")
    if v.size and not np.isfinite(v).all():
        raise ValueError(
            f"{name} has {int((~np.isfinite(v)).sum())} NaN or infinite values. Remove or impute them first."
        )


def features(adata: AnnData, key: str, *, fix: str) -> np.ndarray:
    """Return `adata.obsm[key]` as an array, or raise unless it holds finite numbers, spots × features."""
    x = require_key(adata, "obsm", key, fix=fix)
    x = x.toarray() if sparse.issparse(x) else np.asarray(x)
    if x.dtype == object:  # numbers of several types side by side
        with suppress(TypeError, ValueError):
            x = x.astype(np.float64)
    name = f"adata.obsm[{key!r}]"
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} must be spots × features, found shape {x.shape}. {fix}")
    require_finite(x, name=name)
    return x


def obs_column(adata: AnnData, key: str, *, fix: str) -> Any:
    """Return `adata.obs[key]` in memory, or raise unless there is one such column."""
    column = require_key(adata, "obs", key, fix=fix)
    if column.ndim != 1:
        raise ValueError(f"adata.obs has several columns of the name {key!r}. Rename all but one.")
    if hasattr(adata.obs, "to_memory"):  # of anndata.experimental.read_lazy
        return adata.obs[[key]].to_memory()[key]
    return column


def labels(adata: AnnData, key: str, *, fix: str) -> Any:
    """Return `adata.obs[key]`, or raise if it holds measurements instead of labels."""
    column = obs_column(adata, key, fix=fix)
    if column.dtype.kind in "fc":
        raise TypeError(
            f"adata.obs[{key!r}] holds numbers of type {column.dtype}, not labels. Draw it with sc.pl.spatial, or turn "
            f"it into labels: adata.obs[{key!r}].astype('category')."
        )
    return column


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
    if v.size and float(v.max()) > _LARGEST_COUNT:
        raise ValueError(
            f"{name} has values up to {v.max():.4g}, too large for counts (at most {_LARGEST_COUNT}, up to which single "
            "precision is exact). Pass layer= to name the matrix of raw counts."
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


def require_positive(value: object, *, name: str) -> float:
    """Return `value` as `float`, or raise unless it is a positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, found {value!r} of type {type(value).__name__}.")
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, found {value}.")
    return float(value)


def seed_of(rng: int | np.integer) -> int | str:
    """Return a seed as files can hold it: as text what has more than 64 bits."""
    return int(rng) if rng < 2**63 else str(int(rng))


def as_generator(rng: Seed) -> np.random.Generator:
    """Return the generator that a seed stands for."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng must be a whole number, at least 0, a numpy.random.Generator or None, found {rng!r}."
        ) from error
