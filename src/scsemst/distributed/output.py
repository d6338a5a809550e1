"""One output file, written in one step."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scsemst import _keys
from scsemst._results import result_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    from anndata import AnnData

__all__ = ["working_file", "write_entry", "write_results"]


@contextmanager
def working_file(source: Path, target: Path) -> Iterator[Path]:
    """Copy a file to beside where the result shall be; in the end it becomes the result, unless something fails."""
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name}-", suffix=".part", delete=False
    ) as file:
        path = Path(file.name)
    try:
        shutil.copyfile(source, path)
        yield path
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        shutil.copymode(source, path)
        os.replace(path, target)
    finally:
        path.unlink(missing_ok=True)


def write_entry(file: h5py.File, slot: str, key: str, value: object) -> None:
    """Write one entry of `obsm`, `uns` and the like; all else in the file stays as it is."""
    import anndata as ad

    if slot not in file:
        ad.io.write_elem(file, slot, {})
    ad.io.write_elem(file[slot], key, value)


def write_results(file: h5py.File, adata: AnnData, key: str) -> None:
    """Write what :func:`scsemst.tl.semst` added to AnnData to the file; all else in it stays as it is."""
    if key in file.get("uns", {}):
        for slot, name in result_names(key):
            _remove_entry(file, slot, name)
    name = _keys.embedding(key)
    write_entry(file, "obsm", name, adata.obsm[name])
    for name in (key, _keys.N_DOMAINS):
        if name in adata.uns:
            write_entry(file, "uns", name, adata.uns[name])
    if key in adata.obs:
        write_entry(file, "obs", key, adata.obs[key].array)
        obs = file["obs"]
        columns = [str(column) for column in obs.attrs["column-order"]]
        obs.attrs["column-order"] = columns if key in columns else [*columns, key]


def _remove_entry(file: h5py.File, slot: str, name: str) -> None:
    """Remove an entry of an earlier run, if it is there."""
    part = file.get(slot, {})
    if name in part:
        del part[name]
        if slot == "obs":
            part.attrs["column-order"] = [column for column in part.attrs["column-order"] if str(column) != name]
