"""Labels as plots need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .._checks import labels

if TYPE_CHECKING:
    from anndata import AnnData

FIX = "Run scsemst.tl.semst(adata) or scsemst.tl.domains(adata, …) first, or pass the key of other labels."


def categories(adata: AnnData, key: str, *, fix: str = FIX) -> pd.Categorical:
    """Return labels as a categorical with its used categories, in natural order if they had none."""
    from natsort import natsorted

    column = labels(adata, key, fix=fix)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column).remove_unused_categories()
    named = column.astype(object).where(column.isna(), column.astype(str))
    return pd.Categorical(named, categories=natsorted(named.dropna().unique()))
