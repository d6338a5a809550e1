"""The table of a SpatialData object, which every public function takes in place of an AnnData object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._checks import available

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


def get_table(adata: AnnData | SpatialData, table_key: str) -> AnnData:
    """Return `adata`, or `adata.tables[table_key]` of a SpatialData object; what is written there stays in it.

    Raises
    ------
    KeyError
        If there is no such table; lists those there are.
    TypeError
        If `adata` is neither.
    """
    from anndata import AnnData

    if isinstance(adata, AnnData):
        return adata
    if not hasattr(adata, "tables"):  # importing spatialdata to ask would take seconds
        raise TypeError(f"adata must be an AnnData or a SpatialData object, found {type(adata).__name__}.")
    if table_key not in adata.tables:
        raise KeyError(
            f"table {table_key!r} not found in the SpatialData object (available: {available(adata.tables)}). "
            "Pass table_key= to name one of them."
        )
    return adata.tables[table_key]
