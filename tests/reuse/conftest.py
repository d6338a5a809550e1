from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import squidpy as sq

import scsemst

if TYPE_CHECKING:
    from anndata import AnnData


@pytest.fixture(scope="session")
def corner(cortex: AnnData) -> AnnData:
    """A corner of the slice with graph and semantics; never written to."""
    adata = cortex[:500, :1200].copy()
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    return adata


@pytest.fixture(scope="session")
def trained(corner: AnnData) -> tuple[scsemst.SemST, AnnData]:
    """A model, and the corner as training left it."""
    adata = corner.copy()
    return scsemst.SemST.from_adata(adata, 4, n_top_genes=600, epochs=3, progress=False), adata
