"""The default with one part taken out or replaced; everything else, seeds included, as in `tl.semst`."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

import numpy as np
import squidpy as sq
import torch
from anndata import AnnData
from scipy import sparse
from torch import Tensor, nn

import scsemst
from scsemst import _keys
from scsemst.domains.consensus import fit_consensus
from scsemst.language import gene_vectors
from scsemst.nn import FSM, SemST, semst
from scsemst.semantics.aggregate import aggregate
from scsemst.training import PRESETS, train

from ..slices import REPOSITORY
from .semst import likelihood

SEMANTICS = _keys.GENE_SEMANTICS
MODELS = REPOSITORY / ".cache" / "models"
"""Where `scripts/fetch_test_weights.py` puts them."""


class Concatenation(FSM):
    """What is usually done instead of FSM: features and semantics side by side, and a linear map back to their width."""

    def __init__(self, in_channels: int, semantic_channels: int) -> None:
        super().__init__(in_channels, semantic_channels)
        self.to_affine = nn.ModuleList()
        self.mixed = nn.Linear(in_channels + self.hidden_channels, in_channels)
        with torch.no_grad():  # starts as the identity, as FSM does
            self.mixed.weight.copy_(torch.eye(*self.mixed.weight.shape))
            self.mixed.bias.zero_()

    def reset_parameters(self) -> None:
        self.head[1].reset_parameters()

    def forward(self, z: Tensor, semantics: Tensor) -> Tensor:
        return self.mixed(torch.cat([z, self.head(semantics)], dim=-1))


def write_semantics(adata: AnnData, kind: str, seed: int) -> None:
    """Write spot and gene vectors: the bundled ones, permuted, random, or of the tests' language models."""
    if kind == "names":
        scsemst.pp.gene_semantics(adata, model=MODELS / "minilm", template="{symbol}: {name}", device="cpu")
        return
    if kind == "prompts":
        options = {"key_added": SEMANTICS, "device": "cpu", "progress": False}
        scsemst.pp.spot_semantics(adata, model=MODELS / "smollm2", **options)
        return
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
        raise ValueError(f"kind={kind!r} is not one of real, shuffled, random, names, prompts.")
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


def names(adata, n_domains, seed):
    return fit(adata, n_domains, seed, semantics="names")


def prompts(adata, n_domains, seed):
    return fit(adata, n_domains, seed, semantics="prompts")


def concatenated(adata, n_domains, seed):
    with mock.patch.object(semst, "FSM", Concatenation):
        return fit(adata, n_domains, seed)


def gene_prior(adata, n_domains, seed):
    return fit(adata, n_domains, seed, gene_prior=0.5)


def gene_prior_shuffled(adata, n_domains, seed):
    return fit(adata, n_domains, seed, semantics="shuffled", gene_prior=0.5)


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
    loss = SemST.loss

    def without(self: SemST, *args: Any) -> dict[str, Tensor]:
        terms = loss(self, *args)
        return terms | {"reconstruction": 0 * terms["reconstruction"]}

    with mock.patch.object(SemST, "loss", without):
        return fit(adata, n_domains, seed)


def untrained(adata, n_domains, seed):
    return fit(adata, n_domains, seed, epochs=0)
