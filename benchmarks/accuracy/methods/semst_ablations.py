"""The default with one part taken out or replaced; everything else, seeds included, as in `tl.semst`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import squidpy as sq
import torch
from anndata import AnnData
from scipy import sparse

from scsemst import _keys
from scsemst.domains.consensus import fit_consensus
from scsemst.language import gene_vectors
from scsemst.semantics.aggregate import aggregate
from scsemst.training import PRESETS, train

from .semst import likelihood

SEMANTICS = _keys.GENE_SEMANTICS


def write_semantics(adata: AnnData, kind: str, seed: int) -> None:
    """Write spot and gene vectors from the genes' own vectors, permuted ones or random ones."""
    genes = gene_vectors(adata)
    vectors, rows = genes.vectors.copy(), np.flatnonzero(genes.matched)
    rng = np.random.default_rng([seed, 1])
    if kind == "shuffled":
        vectors[rows] = vectors[rng.permutation(rows)]
    elif kind == "random":
        drawn = rng.normal(size=(rows.size, vectors.shape[1]))
        length = np.sqrt((vectors[rows] ** 2).sum(axis=1).mean())
        vectors[rows] = drawn * length / np.sqrt(vectors.shape[1])
    elif kind != "real":
        raise ValueError(f"kind={kind!r} is not one of real, shuffled, random.")
    adata.obsm[SEMANTICS] = aggregate(adata.X, vectors, matched=genes.matched).vectors
    adata.varm[SEMANTICS] = vectors


def fit(
    adata: AnnData, n_domains: int, seed: int, *, semantics: str | None = "real", **overrides: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Train and cluster as `tl.semst` does, with some settings of the default preset replaced."""
    adata = adata.copy()
    if "spatial_connectivities" not in adata.obsp:
        sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    if semantics is not None:
        write_semantics(adata, semantics, seed)
    rng = np.random.default_rng(seed)
    trained = train(
        adata,
        dataclasses.replace(PRESETS["default"], **overrides),
        semantics_key=None if semantics is None else SEMANTICS,
        neighbors_key=_keys.SPATIAL_CONNECTIVITIES,
        layer=None,
        n_top_genes=3000,
        likelihood=likelihood(adata),
        device=torch.device("cpu"),
        rng=rng,
        progress=False,
    )
    return fit_consensus(trained.latent, n_domains, rng=rng), trained.latent


def no_semantics(adata, n_domains, seed):
    return fit(adata, n_domains, seed, semantics=None)


def shuffled(adata, n_domains, seed):
    return fit(adata, n_domains, seed, semantics="shuffled")


def random(adata, n_domains, seed):
    return fit(adata, n_domains, seed, semantics="random")


def concatenated(adata, n_domains, seed):
    # Needs a preset with this field; without it the row says that there is none
    return fit(adata, n_domains, seed, modulation="concatenate")


def no_gene_prior(adata, n_domains, seed):
    return fit(adata, n_domains, seed, gene_prior=0.0)


def gene_prior(adata, n_domains, seed):
    return fit(adata, n_domains, seed, gene_prior=0.5)


def no_spatial_graph(adata, n_domains, seed):
    adata = adata.copy()
    # The package refuses a graph without edges: one edge between the first two spots is as good as none
    graph = sparse.csr_matrix(([1.0, 1.0], ([0, 1], [1, 0])), shape=(adata.n_obs, adata.n_obs))
    adata.obsp["spatial_connectivities"] = graph
    return fit(adata, n_domains, seed, neighbor_weight=0.0)


def feature_graph(adata, n_domains, seed):
    return fit(adata, n_domains, seed, feature_view=True)


def no_neighbor_loss(adata, n_domains, seed):
    return fit(adata, n_domains, seed, neighbor_weight=0.0)


def no_redundancy_loss(adata, n_domains, seed):
    return fit(adata, n_domains, seed, feature_view=True, redundancy_weight=0.0)


def no_reconstruction(adata, n_domains, seed):
    return fit(adata, n_domains, seed, reconstruction_weight=0.0)


def untrained(adata, n_domains, seed):
    return fit(adata, n_domains, seed, epochs=0)
