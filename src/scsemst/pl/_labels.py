"""Labels as plots need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .._checks import require_key

if TYPE_CHECKING:
    from anndata import AnnData

FIX = "Run scsemst.tl.semst(adata) or scsemst.tl.domains(adata, …) first, or pass the key of other labels."


def categories(adata: AnnData, key: str, *, fix: str = FIX) -> pd.Categorical:
    """Return labels as a categorical with its used categories, in natural order if they had none."""
    from natsort import natsorted

    column = require_key(adata, "obs", key, fix=fix)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column).remove_unused_categories()
    if pd.api.types.is_float_dtype(column):
        raise TypeError(
            f"adata.obs[{key!r}] holds numbers of type {column.dtype}, not labels. Draw it with sc.pl.spatial."
        )
    named = column.astype(object).where(column.isna(), column.astype(str))
    return pd.Categorical(named, categories=natsorted(named.dropna().unique()))
