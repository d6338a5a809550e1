"""The number of torch's threads is the user's: with another, the same call would give other bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import scsemst
from scsemst.graphs import feature_graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("likelihood", ["zinb", "gaussian"])
def test_choosing_genes_leaves_torch_its_threads(adata: AnnData, likelihood: str):
    options = {"semantics_key": None, "epochs": 3, "n_top_genes": 100, "progress": False, "copy": True}
    if likelihood == "gaussian":
        adata.X = adata.X.log1p()
    first = scsemst.tl.semst(adata, likelihood=likelihood, **options)
    assert torch.get_num_threads() == 1
    again = scsemst.tl.semst(adata, likelihood=likelihood, **options)
    np.testing.assert_array_equal(first.obsm["X_semst"], again.obsm["X_semst"])


@pytest.mark.usefixtures("one_thread")
def test_neighbours_leave_torch_its_threads(adata: AnnData):
    rng = np.random.default_rng(0)
    feature_graph(rng.normal(size=(20_001, 3)), 5)  # more than are searched exactly
    assert torch.get_num_threads() == 1
    adata.obsm["X_semst"] = rng.normal(size=(adata.n_obs, 5))
    scsemst.tl.leiden_domains(adata)
    assert torch.get_num_threads() == 1
    scsemst.pl.domain_genes(adata, "semst", n_genes=1, show=False)
    assert torch.get_num_threads() == 1
