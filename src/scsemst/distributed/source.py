"""An h5ad file as AnnData whose matrices stay in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scsemst import _keys
from scsemst._checks import features
from scsemst.training.slices import read_slices

from .output import write_entry

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

__all__ = ["open_slice", "prepare"]

_SLICE = "slice"
_N_NEIGHBORS = 6
_FIX = "Write the coordinates of the spots there, or the graph of squidpy.gr.spatial_neighbors_knn to the file."


def open_slice(file: h5py.File, options: dict[str, Any]) -> AnnData:
    """Return names, slices, coordinates, graph and provenance of the semantics in memory, expression and semantics on disk.

    Parameters
    ----------
    file
        An open h5ad file.
    options
        Those of :func:`scsemst.tl.semst`, which say what to look for.
    """
    import anndata as ad
    import pandas as pd

    obs, var = (ad.io.read_elem(file[axis]) for axis in ("obs", "var"))
    batch_key = options["batch_key"]
    if batch_key is None or batch_key in obs:  # else all, for the error to say what there is
        obs = obs[[] if batch_key is None else [batch_key]]
    obs, var = obs.set_index(obs.index.astype(object)), pd.DataFrame(index=var.index.astype(object))
    layers = {name: _lazy(file["layers"][name]) for name in file.get("layers", {})}
    adata = ad.AnnData(_lazy(file["X"]) if "X" in file else None, obs=obs, var=var, layers=layers)
    neighbors, semantics = options["neighbors_key"], options["semantics_key"]
    for slot, keys, read in (
        ("obsp", (neighbors,), ad.io.read_elem),
        ("obsm", (semantics,), _rows),
        ("obsm", (_keys.SPATIAL,), ad.io.read_elem),
        ("varm", (semantics,), ad.io.read_elem),
        ("uns", (semantics,), ad.io.read_elem),
    ):
        for key in keys:
            if key is not None and key in file.get(slot, {}):
                getattr(adata, slot)[key] = read(file[slot][key])
    return adata


def prepare(file: h5py.File, options: dict[str, Any]) -> None:
    """Compute the spatial graph and the gene semantics if they are not there, and write them to the file.

    Only those that :func:`scsemst.tl.semst` reads by default: a graph of six nearest neighbours, of the same slice if
    there are several, and :func:`scsemst.pp.gene_semantics`.

    Raises
    ------
    KeyError
        If there are no coordinates to compute the graph from, or no column with the slices.
    ValueError
        If there are spots without a slice, or no slices to speak of.
    """
    import anndata as ad
    import pandas as pd

    adata = open_slice(file, options)
    key = _keys.SPATIAL_CONNECTIVITIES
    if options["neighbors_key"] == key and key not in adata.obsp:
        import squidpy as sq

        points = ad.AnnData(obs=adata.obs[[]])
        points.obsm[_keys.SPATIAL] = features(adata, _keys.SPATIAL, fix=_FIX)
        slices = read_slices(adata, options["batch_key"])
        if (n := adata.n_obs if slices is None else slices.sizes.min()) <= _N_NEIGHBORS:
            raise ValueError(
                f"{n} spots {'' if slices is None else 'of a slice '}are too few for six neighbours each. {_FIX}"
            )
        if slices is not None:
            points.obs[_SLICE] = pd.Categorical.from_codes(slices.codes, slices.names)
        sq.gr.spatial_neighbors_knn(points, n_neighs=_N_NEIGHBORS, library_key=None if slices is None else _SLICE)
        for name in points.obsp:
            write_entry(file, "obsp", name, points.obsp[name])
        for name in points.uns:
            write_entry(file, "uns", name, points.uns[name])
    key = _keys.GENE_SEMANTICS
    if options["semantics_key"] == key and key not in adata.obsm:
        from scsemst import pp

        pp.gene_semantics(adata, layer=options["layer"])
        for slot in ("obsm", "varm", "uns"):
            write_entry(file, slot, key, getattr(adata, slot)[key])


def _rows(element: Any) -> Any:
    """Dense rows stay on disk; a sparse matrix or a data frame is read."""
    import h5py

    if isinstance(element, h5py.Dataset):
        return element
    import anndata as ad
    from scipy import sparse

    x = ad.io.read_elem(element)
    return x.toarray() if sparse.issparse(x) else np.asarray(x)


def _lazy(element: Any) -> Any:
    import anndata as ad
    import h5py

    return ad.io.sparse_dataset(element) if isinstance(element, h5py.Group) else element
