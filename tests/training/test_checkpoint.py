"""Runs that were stopped and continued, against runs that were not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import squidpy as sq
import torch

import scsemst
from scsemst.training import fit

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

OPTIONS = {"n_domains": 4, "epochs": 40, "batch_size": 100, "progress": False}
CHILD = """
import sys, time, anndata, torch, scsemst
from scsemst.training import fit
path, folder, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
objective = fit.objective
fit.objective = lambda *args: (time.sleep(0.05), objective(*args))[1]  # time to be killed in
scsemst.tl.semst(anndata.read_h5ad(path), **{options}, checkpoint_dir=folder, checkpoint_minutes=0)
"""


@pytest.fixture(scope="module")
def file(cortex: AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    adata = cortex[:400, :300].copy()
    sc.pp.filter_cells(adata, min_counts=1)
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    path = tmp_path_factory.mktemp("checkpoint") / "slice.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def expected(file: Path) -> AnnData:
    return scsemst.tl.semst(ad.read_h5ad(file), **OPTIONS, copy=True)


@pytest.fixture
def corner(file: Path) -> AnnData:
    return ad.read_h5ad(file)


def assert_same_bits(adata: AnnData, expected: AnnData) -> None:
    np.testing.assert_array_equal(adata.obsm["X_semst"], expected.obsm["X_semst"])
    assert adata.obs["semst"].equals(expected.obs["semst"])
    for name, values in expected.uns["semst"]["history"].items():
        np.testing.assert_array_equal(adata.uns["semst"]["history"][name], values)


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C in the middle of a training step."""
    objective, calls = fit.objective, []

    def press(*args: object):
        calls.append(None)
        if len(calls) == step:
            signal.raise_signal(signal.SIGINT)
        return objective(*args)

    monkeypatch.setattr(fit, "objective", press)


def test_killed_and_continued(file: Path, corner: AnnData, expected: AnnData, tmp_path: Path):
    folder = tmp_path / "run"
    arguments = [str(file), str(folder), str(torch.get_num_threads())]
    child = subprocess.Popen([sys.executable, "-c", CHILD.replace("{options}", repr(OPTIONS)), *arguments])
    try:
        while child.poll() is None and reached(folder) < 2:
            time.sleep(0.01)
    finally:
        child.kill()  # SIGKILL: nothing is tidied up
    assert child.wait() == -signal.SIGKILL, "it finished, or failed, before it could be killed"
    before = json.loads((folder / "checkpoint.json").read_text())["position"]
    assert 2 <= before["history"]["stopped_epoch"] < expected.uns["semst"]["stopped_epoch"]

    scsemst.tl.semst(corner, **OPTIONS, checkpoint_dir=folder)
    assert_same_bits(corner, expected)
    assert not folder.exists()


def reached(folder: Path) -> int:
    """Return how many epochs a checkpoint holds."""
    path = folder / "checkpoint.json"
    return json.loads(path.read_text())["position"]["history"]["stopped_epoch"] if path.exists() else 0


def test_interrupted_within_an_epoch(
    corner: AnnData, expected: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = {name: set(getattr(corner, name).keys()) for name in ("obs", "obsm", "uns")}
    handler = signal.getsignal(signal.SIGINT)
    interrupt_at(7, monkeypatch)  # of 4 or 5 a pass
    with pytest.raises(KeyboardInterrupt, match=r"after 1 epoch and a part; the data are unchanged.*checkpoint_dir="):
        scsemst.tl.semst(corner, **OPTIONS, checkpoint_dir=tmp_path / "run")
    monkeypatch.undo()
    assert before == {name: set(getattr(corner, name).keys()) for name in before}
    position = json.loads((tmp_path / "run" / "checkpoint.json").read_text())["position"]
    assert position["steps"]
    assert position["n_spots"] > 0
    assert signal.getsignal(signal.SIGINT) is handler

    model = scsemst.SemST.from_adata(corner, **OPTIONS, checkpoint_dir=tmp_path / "run")
    assert model.n_domains == 4
    assert_same_bits(corner, expected)


def test_stopped_while_clustering(corner: AnnData, expected: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from scsemst.training import run

    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr(run, "fit_mixtures", fail)
    with pytest.raises(MemoryError):
        scsemst.tl.semst(corner, **OPTIONS, checkpoint_dir=tmp_path)
    monkeypatch.undo()

    monkeypatch.setattr(fit, "objective", fail)  # all steps were taken
    scsemst.tl.semst(corner, **OPTIONS, checkpoint_dir=tmp_path)
    assert_same_bits(corner, expected)
    assert not list(tmp_path.glob("*"))


@pytest.fixture(scope="module")
def stopped(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an interrupted run."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(6, patch)
        scsemst.tl.semst(ad.read_h5ad(file), **OPTIONS, checkpoint_dir=folder)
    return folder


def other_counts(adata: AnnData) -> dict[str, object]:
    adata.X.data[0] += 1
    return {}


def other_graph(adata: AnnData) -> dict[str, object]:
    sq.gr.spatial_neighbors_knn(adata, n_neighs=5)
    return {}


def other_semantics(adata: AnnData) -> dict[str, object]:
    adata.obsm["X_gene_semantics"][0] += 1
    return {}


def other_names(adata: AnnData) -> dict[str, object]:
    adata.obs_names = [f"spot {i}" for i in range(adata.n_obs)]
    return {}


OTHER = {
    "expression": other_counts,
    "spatial graph": other_graph,
    "semantics": other_semantics,
    "names of spots": other_names,
    "rng": lambda _: {"rng": 1},
    "batch_size": lambda _: {"batch_size": 200},
    "epochs": lambda _: {"epochs": 41},
    "likelihood": lambda _: {"likelihood": "nb"},
}


@pytest.mark.parametrize("what", OTHER)
def test_a_checkpoint_of_another_run_is_refused(corner: AnnData, stopped: Path, what: str):
    options = OTHER[what](corner)
    with pytest.raises(ValueError, match=rf"another run. What differs: .*{what} .*Delete the folder.*checkpoint_dir="):
        scsemst.tl.semst(corner, **{**OPTIONS, **options}, checkpoint_dir=stopped)
    assert (stopped / "checkpoint.json").exists()


@pytest.mark.parametrize("damage", ["weights", "no weights", "JSON", "position", "steps", "epochs", "foreign", "file"])
def test_damage_is_named(corner: AnnData, stopped: Path, tmp_path: Path, damage: str):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(stopped, folder)
    path, (weights,) = folder / "checkpoint.json", folder.glob("*.safetensors")
    info = json.loads(path.read_text())
    if damage == "weights":
        weights.write_bytes(weights.read_bytes()[:-8] + bytes(8))
    elif damage == "no weights":
        weights.unlink()
    elif damage == "JSON":
        path.write_text(path.read_text()[:200])
    elif damage == "position":
        del info["position"]["history"]["terms"]
        info["position"]["history"]["colour"] = 3
        path.write_text(json.dumps(info))
    elif damage in ("steps", "epochs"):
        info["position"] |= {"steps": 3} if damage == "steps" else {"history": {"terms": {}, "stopped_epoch": 2}}
        path.write_text(json.dumps(info))
    elif damage == "foreign":
        path.write_text("{}")
    elif damage == "file":
        folder = path
    with pytest.raises(ValueError, match="damaged|missing|not of a scsemst checkpoint|is a file"):
        scsemst.tl.semst(corner, **OPTIONS, checkpoint_dir=folder)
    assert "X_semst" not in corner.obsm


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rng": None}, "rng=None"), ({"checkpoint_minutes": -1}, "checkpoint_minutes.*-1")],
)
def test_bad_options(corner: AnnData, tmp_path: Path, options: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        scsemst.tl.semst(corner, **OPTIONS, **options, checkpoint_dir=tmp_path)
