"""The slice that is measured on, and many copies of it side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from .measure import RAW, REPOSITORY

if TYPE_CHECKING:
    from anndata import AnnData

SLICE = "dlpfc_151673"
N_DOMAINS = 7


def load(name: str = SLICE) -> AnnData:
    """Return counts, gene names and coordinates of a slice; no annotation is kept."""
    import anndata as ad
    import pandas as pd

    folder = Path(os.environ.get("SCSEMST_BENCHMARK_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / f"{name}.h5ad"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Set SCSEMST_BENCHMARK_DATA to the folder that has it.")
    adata = ad.read_h5ad(path)
    return ad.AnnData(
        sparse.csr_matrix(adata.X, dtype=np.float32),
        obs=pd.DataFrame(index=pd.Index(adata.obs_names.astype(str), dtype=object)),
        var=pd.DataFrame(index=pd.Index(adata.var_names.astype(str), dtype=object)),
        obsm={"spatial": np.asarray(adata.obsm["spatial"], dtype=np.float64)},
    )


def prepared(name: str = SLICE) -> AnnData:
    """Return the slice with squidpy's graph and semantic vectors."""
    return with_inputs(load(name))


def with_inputs(adata: AnnData) -> AnnData:
    """Add squidpy's graph and semantic vectors."""
    import squidpy as sq

    import scsemst

    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    return adata


def tile(adata: AnnData, n_spots: int, *, n_genes: int = 300, n_neighbors: int = 6, seed: int = 0) -> AnnData:
    """Return a tissue of `n_spots`: the slice repeated on a grid, each time with counts drawn anew.

    A spot's counts are Poisson with the mean of its own and its neighbours' counts, for the `n_genes` whose
    log-normalised expression varies most; every spot has one count at least.
    """
    import anndata as ad
    import pandas as pd
    from sklearn.neighbors import kneighbors_graph

    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(adata.X, dtype=np.float32)
    library = np.asarray(counts.sum(axis=1)).ravel()
    logs = (sparse.diags(1e4 / library) @ counts).log1p()
    variance = np.asarray(logs.multiply(logs).mean(axis=0) - np.square(logs.mean(axis=0))).ravel()
    genes = np.sort(np.argsort(-variance)[:n_genes])
    spatial = np.asarray(adata.obsm["spatial"], dtype=np.float64)
    average = kneighbors_graph(spatial, n_neighbors, include_self=False) + sparse.eye(adata.n_obs)
    rates = sparse.csr_matrix(average @ counts[:, genes] / (n_neighbors + 1))

    n_tiles = -(-n_spots // adata.n_obs)
    columns = int(np.ceil(np.sqrt(n_tiles)))
    extent = (spatial.max(axis=0) - spatial.min(axis=0)) * 1.01
    blocks, places = [], []
    for i in range(n_tiles):
        block = rates.copy()
        block.data = rng.poisson(block.data).astype(np.float32)
        block.eliminate_zeros()
        blocks.append(block)
        places.append(spatial + extent * np.array([i % columns, i // columns]))
    x = sparse.csr_matrix(sparse.vstack(blocks, format="csr")[:n_spots])
    del blocks
    empty = np.flatnonzero(np.diff(x.indptr) == 0)
    if empty.size:
        commonest = np.full(empty.size, np.asarray(rates.sum(axis=0)).argmax())
        x = x + sparse.csr_matrix((np.ones(empty.size, np.float32), (empty, commonest)), shape=x.shape)
    names = pd.RangeIndex(n_spots).astype(str).astype(object)
    return ad.AnnData(
        x,
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=adata.var_names[genes]),
        obsm={"spatial": np.concatenate(places)[:n_spots]},
    )


def tiled_path(n_spots: int, n_genes: int = 300) -> Path:
    """Where :func:`write_tiled` keeps its file."""
    return RAW / "tiles" / f"{SLICE}_{n_spots}x{n_genes}.h5ad"


def write_tiled(n_spots: int, n_genes: int = 300):
    """Case for `measure`: write the tiled slice, so that making it weighs on no process that is measured."""

    def run() -> dict[str, float]:
        path = tiled_path(n_spots, n_genes)
        path.parent.mkdir(parents=True, exist_ok=True)
        adata = tile(load(), n_spots, n_genes=n_genes)
        temporary = path.with_suffix(".tmp")
        adata.write_h5ad(temporary)
        temporary.rename(path)
        return {"density": adata.X.nnz / (n_spots * n_genes)}

    return run
