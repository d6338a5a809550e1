"""The table of a SpatialData object, which every public function takes in place of an AnnData object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._checks import available, require_string

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


def get_table(adata: AnnData | SpatialData, table_key: str, *, copy: bool | None = None) -> AnnData:
    """Return `adata`, or `adata.tables[table_key]` of a SpatialData object; what is written there stays in it.

    Parameters
    ----------
    adata
        Either.
    table_key
        Name of the table.
    copy
        Whether results go to a copy or to `adata` itself; `None` if there are none to write.

    Raises
    ------
    KeyError
        If there is no such table; lists those there are.
    TypeError
        If `adata` is neither.
    ValueError
        If there are no spots, or results cannot be written, before hours have gone into them.
    """
    from anndata import AnnData

    table = adata if isinstance(adata, AnnData) else _of_spatialdata(adata, table_key)
    if table.n_obs == 0:
        raise ValueError(f"adata has no spots (shape {table.shape}). Was every spot filtered out?")
    if copy is not None and table.isbacked and (copy or table.is_view):
        raise ValueError(
            f"adata is {'a view of an object' if table.is_view else 'an object'} that is backed by a file: "
            f"{'copy=True cannot copy it' if copy else 'results cannot be written to it'} in memory. Read it first: "
            "adata = adata.to_memory()."
        )
    return table


def _of_spatialdata(adata: SpatialData, table_key: str) -> AnnData:
    if not hasattr(adata, "tables"):  # importing spatialdata to ask would take seconds
        raise TypeError(
            f"adata must be an AnnData or a SpatialData object, found {type(adata).__name__}. Read one with "
            "anndata.read_h5ad(path), or make one of a matrix of counts: anndata.AnnData(counts)."
        )
    require_string(table_key, name="table_key")
    if table_key not in adata.tables:
        raise KeyError(
            f"table {table_key!r} not found in the SpatialData object (available: {available(adata.tables)}). "
            "Pass table_key= to name one of them."
        )
    return adata.tables[table_key]
