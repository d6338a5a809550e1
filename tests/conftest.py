from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest

import scsemst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

mpl.use("agg")


@pytest.fixture(scope="session")
def cortex() -> AnnData:
    """The demo slice with squidpy's graph; shared, so never written to: tests take `adata`."""
    import squidpy as sq

    adata = scsemst.datasets.dlpfc()
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    return adata


@pytest.fixture
def adata(cortex: AnnData) -> AnnData:
    """The demo slice with squidpy's graph, a copy of the test's own."""
    return cortex.copy()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scsemst.settings, "cache_dir", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Leave no figure behind for the next test."""
    import matplotlib.pyplot as plt

    yield
    plt.close("all")
