"""What only a GPU of NVIDIA can show: `pytest -m gpu`, on a machine that has one; see docs/contributing.md."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import torch
import torch.distributed as dist
from sklearn.metrics import adjusted_rand_score

import scsemst
from scsemst.distributed.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

pytestmark = pytest.mark.gpu

K = 5
CUDA = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def tissue(cortex: AnnData) -> AnnData:
    adata = cortex.copy()
    scsemst.pp.gene_semantics(adata)
    return adata


def fit(adata: AnnData, device: str = "cuda", **options) -> AnnData:
    return scsemst.tl.semst(adata, K, device=device, copy=True, progress=False, **options)


@pytest.fixture(scope="module")
def on_cpu(tissue: AnnData) -> AnnData:
    return fit(tissue, "cpu", epochs=30)


@pytest.fixture(scope="module")
def on_gpu(tissue: AnnData) -> AnnData:
    return fit(tissue, epochs=30)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Let this process have 150 MB beyond what it holds."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 150e6) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the norm of a difference, relative; columns may have another sign."""
    signs = np.sign((found * expected).sum(axis=0))
    return float(np.linalg.norm(found * signs - expected) / np.linalg.norm(expected))


def test_a_gpu_gives_what_the_cpu_gives(on_cpu: AnnData, on_gpu: AnnData):
    assert difference(on_gpu.obsm["X_semst"], on_cpu.obsm["X_semst"]) < 1e-3
    assert adjusted_rand_score(on_gpu.obs["semst"], on_cpu.obs["semst"]) > 0.95


def test_a_gpu_gives_nearly_the_same_again(tissue: AnnData, on_gpu: AnnData):
    """Not the same bits: cuSPARSE adds in an order that changes from run to run."""
    again = fit(tissue, epochs=30)
    assert difference(again.obsm["X_semst"], on_gpu.obsm["X_semst"]) < 1e-4
    assert again.obs["semst"].equals(on_gpu.obs["semst"])


@pytest.mark.parametrize("likelihood", ["nb", "poisson", "gaussian"])
def test_every_likelihood_trains(tissue: AnnData, likelihood: str):
    options = {"epochs": 5, "likelihood": likelihood, "preset": "paper"}
    found, expected = fit(tissue, **options), fit(tissue, "cpu", **options)
    assert difference(found.obsm["X_semst"], expected.obsm["X_semst"]) < 0.05


def test_half_precision_is_close(tissue: AnnData, on_gpu: AnnData):
    half = fit(tissue, epochs=30, precision="bf16")
    assert difference(half.obsm["X_semst"], on_gpu.obsm["X_semst"]) < 0.1


def test_parts_of_a_tissue(tissue: AnnData):
    options = {"epochs": 5, "batch_size": 400}
    found, expected = fit(tissue, **options), fit(tissue, "cpu", **options)
    assert difference(found.obsm["X_semst"], expected.obsm["X_semst"]) < 1e-3


@pytest.mark.usefixtures("little_memory")
def test_a_full_gpu_takes_smaller_batches(tissue: AnnData):
    wide = {"epochs": 2, "preset": "paper", "n_top_genes": tissue.n_vars}
    with pytest.warns(UserWarning, match="too little memory"):
        found = fit(tissue, **wide)
    assert found.uns["semst"]["params"]["batch_size"] < tissue.n_obs
    assert np.isfinite(found.obsm["X_semst"]).all()


def test_training_goes_on_after_an_interruption(
    tissue: AnnData, on_gpu: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from scsemst.training import loop

    class Stop(Exception):
        pass

    add = loop.Position.add

    def stopping(self, *args):
        add(self, *args)
        if self.history.stopped_epoch == 12:
            raise Stop

    options = {"epochs": 30, "checkpoint_dir": tmp_path / "kept", "checkpoint_minutes": 0}
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(loop.Position, "add", stopping)
        fit(tissue, **options)
    found = fit(tissue, **options)
    assert difference(found.obsm["X_semst"], on_gpu.obsm["X_semst"]) < 1e-4


def test_a_model_of_a_gpu_serves_where_there_is_none(tissue: AnnData, on_gpu: AnnData, tmp_path: Path):
    scsemst.SemST.from_adata(on_gpu).save(tmp_path / "model")
    tissue.write_h5ad(tmp_path / "in.h5ad")
    here = scsemst.tl.predict(tissue, scsemst.SemST.load(tmp_path / "model"), device="cuda", copy=True)
    lines = (
        "import sys, anndata, torch, scsemst",
        "assert not torch.cuda.is_available()",
        "folder = sys.argv[1]",
        "adata = anndata.read_h5ad(f'{folder}/in.h5ad')",
        "scsemst.tl.predict(adata, scsemst.SemST.load(f'{folder}/model'))",
        "adata.write_h5ad(f'{folder}/out.h5ad')",
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", "\n".join(lines), str(tmp_path)], check=True, env=environment)
    there = ad.read_h5ad(tmp_path / "out.h5ad")
    assert difference(here.obsm["X_semst"], there.obsm["X_semst"]) < 1e-3


def test_an_embedding_is_modulated(tissue: AnnData):
    adata = tissue.copy()
    rng = np.random.default_rng(0)
    adata.obsm["X_other"] = rng.normal(size=(adata.n_obs, 12)).astype(np.float32)
    options = {"epochs": 10, "rng": 0, "progress": False, "copy": True}
    found, expected = (scsemst.tl.modulate(adata, "X_other", device=d, **options) for d in ("cuda", "cpu"))
    assert difference(found.obsm["X_other_semst"], expected.obsm["X_other_semst"]) < 1e-2


@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.99999), ("auto", 0.99)])
def test_a_language_model_reads_on_a_gpu(tissue: AnnData, minilm: Path, dtype: str, least: float):
    """Vectors of the same direction as the processor's, in full and in half precision."""
    options = {"model": minilm, "cache": False, "center": False, "progress": False, "copy": True}
    few = tissue[:200].copy()
    expected = scsemst.pp.spot_semantics(few, device="cpu", **options).obsm["X_spot_semantics"]
    found = scsemst.pp.spot_semantics(few, device="cuda", dtype=dtype, **options)
    vectors = found.obsm["X_spot_semantics"]
    assert vectors.dtype == np.float32
    cosine = (vectors * expected).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > least
    assert ("bfloat16" in found.uns["X_spot_semantics"]["encoder"]) == (dtype == "auto")


def test_processes_talk_through_nccl():
    """All that processes say to each other, by the only one that a single GPU allows."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dist.init_process_group("nccl", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        world = World(0, 2, CUDA)  # with a size of one it would not talk
        for dtype in (np.float32, np.float64, np.int64):
            array = np.arange(6, dtype=dtype).reshape(2, 3)
            np.testing.assert_array_equal(world.sum(array), array)
        info, arrays = world.share({"a": [1, 2]}, {"x": np.arange(3.0)})
        assert info == {"a": [1, 2]}
        np.testing.assert_array_equal(arrays["x"], np.arange(3.0))
        layer = torch.nn.Linear(3, 2, device=CUDA)
        layer(torch.ones(4, 3, device=CUDA)).sum().backward()
        expected = [p.grad.clone() for p in layer.parameters()]
        world.sum_gradients(layer.parameters())
        for parameter, gradient in zip(layer.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
        world.wait()
    finally:
        dist.destroy_process_group()


def test_two_processes_share_a_gpu(tissue: AnnData, tmp_path: Path):
    adata = tissue.copy()
    for slot in (adata.obsp, adata.uns, adata.obsm):
        for key in set(slot) - {"spatial"}:
            del slot[key]
    adata.write_h5ad(tmp_path / "in.h5ad")
    options = [
        "--n-domains",
        str(K),
        "--epochs",
        "5",
        "--n-top-genes",
        "300",
        "--parts-per-step",
        "2",
        "--device",
        "cuda",
    ]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, start in (("one", []), ("two", torchrun)):
        command = [
            *start,
            "-m",
            "scsemst",
            "train",
            str(tmp_path / "in.h5ad"),
            str(tmp_path / f"{name}.h5ad"),
            *options,
        ]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("one", "two"))
    assert difference(two.obsm["X_semst"], one.obsm["X_semst"]) < 1e-3


def test_nothing_is_said_on_a_gpu(tissue: AnnData):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(tissue, epochs=2)
    assert [str(w.message) for w in caught if "scsemst" in w.filename or "torch" in w.filename] == []
