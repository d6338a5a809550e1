from __future__ import annotations

import os
from pathlib import Path
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
        patch.setattr(scsemst.settings, "cache_dir", tmp_path_factory.mktemp("cache") / "scsemst")
        yield


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Leave no figure behind for the next test."""
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def model_folder(name: str) -> Path:
    """Return the folder of a real model that `make test` has fetched; without it the test fails."""
    default = Path(__file__).resolve().parents[1] / ".cache" / "models"
    folder = Path(os.environ.get("SCSEMST_TEST_MODELS", default)).expanduser() / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing. Run python scripts/fetch_test_weights.py first.")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """all-MiniLM-L6-v2, an encoder of 384 dimensions."""
    return model_folder("minilm")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct, a causal model of 576 dimensions, as safetensors."""
    return model_folder("smollm2")


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """SmolLM2-135M-Instruct as a GGUF file."""
    return model_folder("smollm2-gguf")
