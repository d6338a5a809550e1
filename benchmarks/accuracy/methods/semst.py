"""`tl.semst` as a user calls it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import squidpy as sq
from anndata import AnnData

import scsemst


def likelihood(adata: AnnData) -> Literal["zinb", "gaussian"]:
    """Zero-inflated counts, or a normal distribution for values that are not counts (MERFISH)."""
    return "zinb" if np.array_equal(adata.X.data, np.rint(adata.X.data)) else "gaussian"


def _run(adata: AnnData, n_domains: int | None, seed: int, preset: Literal["default", "paper"]):
    adata = adata.copy()
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    scsemst.tl.semst(adata, n_domains, likelihood=likelihood(adata), preset=preset, rng=seed, progress=False)
    labels = None if n_domains is None else adata.obs["semst"].cat.codes.to_numpy()
    return labels, adata.obsm["X_semst"]


def default(adata: AnnData, n_domains: int | None, seed: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Without a number of domains there is a latent space, and no labels."""
    return _run(adata, n_domains, seed, "default")


def paper(adata: AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return _run(adata, n_domains, seed, "paper")
