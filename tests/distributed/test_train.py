"""`scsemst train`: one process against `tl.semst`, and two processes that torchrun starts against one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import squidpy as sq
from scipy import sparse

import scsemst
from scsemst._cli import main
from scsemst.distributed.rows import Rows, read_dense

if TYPE_CHECKING:
    from anndata import AnnData

EPOCHS, K = 6, 4
DOMAINS = ["--n-domains", str(K)]
OPTIONS = ["--epochs", str(EPOCHS), "--n-top-genes", "300"]


@pytest.fixture(scope="module")
def band(cortex: AnnData) -> AnnData:
    """A band of tissue, longer than wide, with neither graph nor semantics."""
    order = np.argsort(cortex.obsm["spatial"][:, 1], kind="stable")[:900]
    adata = cortex[np.sort(order), :800].copy()
    adata.obs["half"] = np.repeat(["a", "b"], 450)
    sc.pp.filter_cells(adata, min_counts=1)
    for slot in (adata.obsp, adata.uns):
        for key in list(slot):
            del slot[key]
    return adata


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, band: AnnData) -> Path:
    folder = tmp_path_factory.mktemp("train")
    band.write_h5ad(folder / "in.h5ad")
    return folder


def train(folder: Path, name: str, *options: str, source: str = "in.h5ad") -> AnnData:
    assert main(["train", str(folder / source), str(folder / name), *OPTIONS, *options]) == 0
    return ad.read_h5ad(folder / name)


@pytest.fixture(scope="module")
def one(folder: Path) -> AnnData:
    """One process, two parts a step."""
    return train(folder, "one.h5ad", *DOMAINS, "--parts-per-step", "2")


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "scsemst"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def two(folder: Path) -> AnnData:
    """Two processes, gloo between them."""
    done = torchrun("train", str(folder / "in.h5ad"), str(folder / "two.h5ad"), *DOMAINS, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return ad.read_h5ad(folder / "two.h5ad")


def assert_alike(found: AnnData, expected: AnnData, key: str = "X_semst") -> None:
    a, b = found.obsm[key], expected.obsm["X_semst"]
    assert np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(b)


def test_one_process_is_tl_semst(band: AnnData, folder: Path):
    adata = band.copy()
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    scsemst.tl.semst(adata, epochs=EPOCHS, n_top_genes=300, batch_size=300, progress=False)
    found = train(folder, "same.h5ad", "--batch-size", "300")
    assert_alike(found, adata)
    assert found.uns["semst"]["stopped_epoch"] == adata.uns["semst"]["stopped_epoch"]


def test_two_processes_are_one_with_two_parts_a_step(one: AnnData, two: AnnData):
    assert two.uns["semst"]["processes"]["parts_per_step"] == 2
    assert_alike(two, one)
    assert two.obs["semst"].equals(one.obs["semst"])
    assert two.obs["semst"].nunique() == K
    for name, values in one.uns["semst"]["history"].items():
        np.testing.assert_allclose(two.uns["semst"]["history"][name], values, rtol=1e-5)


def test_two_views(band: AnnData, folder: Path):
    """The paper's preset reads expression components of spots that other processes hold."""
    options = ["--preset", "paper", "--epochs", "2", "--n-top-genes", "100"]
    files = [str(folder / name) for name in ("in.h5ad", "views_two.h5ad")]
    done = torchrun("train", *files, *options)
    assert done.returncode == 0, done.stderr
    assert main(["train", files[0], str(folder / "views_one.h5ad"), *options, "--parts-per-step", "2"]) == 0
    one, two = (ad.read_h5ad(folder / f"views_{name}.h5ad") for name in ("one", "two"))
    assert {"reconstruction", "neighbor", "redundancy"} <= set(two.uns["semst"]["history"])
    assert_alike(two, one)


@pytest.fixture(scope="module")
def sections(band: AnnData, folder: Path) -> AnnData:
    """The band, cut into two slices that lie on top of each other, the second with half the counts."""
    adata = band.copy()
    x = adata.obsm["spatial"][:, 0]
    second = x >= np.quantile(x, 0.4)
    adata.obs["section"] = np.where(second, "b", "a")
    adata.obsm["spatial"][second, 0] -= np.quantile(x, 0.4)
    halves = np.random.default_rng(0).binomial(adata.X.data.astype(int), 0.5)
    adata.X.data = np.where(np.repeat(second, np.diff(adata.X.indptr)), halves, adata.X.data).astype(np.float32)
    adata.X.eliminate_zeros()
    sc.pp.filter_cells(adata, min_counts=1)
    adata.write_h5ad(folder / "sections.h5ad")
    return adata


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_several_slices_are_those_of_tl_semst(sections: AnnData, folder: Path, preset: str):
    adata = sections.copy()
    adata.obs["section"] = adata.obs["section"].astype("category")
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6, library_key="section")
    scsemst.pp.gene_semantics(adata)
    options = {"epochs": EPOCHS, "n_top_genes": 300, "batch_size": 300, "preset": preset, "batch_key": "section"}
    scsemst.tl.semst(adata, integrate="harmony", progress=False, **options)
    given = ["--batch-size", "300", "--preset", preset, "--batch-key", "section", "--integrate", "harmony"]
    found = train(folder, f"same_{preset}.h5ad", *given, source="sections.h5ad")
    assert (found.obsp["spatial_connectivities"] != adata.obsp["spatial_connectivities"]).nnz == 0
    assert_alike(found, adata)
    batches, expected = (x.uns["semst"]["batches"] for x in (found, adata))
    assert [*batches["names"]] == ["a", "b"] == [*expected["names"]]
    assert batches["share_of_edges_between"] == 0


def test_several_slices_in_two_processes(sections: AnnData, folder: Path):
    given = ["--batch-key", "section", *DOMAINS]
    done = torchrun("train", str(folder / "sections.h5ad"), str(folder / "sections_two.h5ad"), *OPTIONS, *given)
    assert done.returncode == 0, done.stderr
    two = ad.read_h5ad(folder / "sections_two.h5ad")
    kept = ["--parts-per-step", "2", "--save-model", str(folder / "model")]
    one = train(folder, "sections_one.h5ad", *given, *kept, source="sections.h5ad")
    assert_alike(two, one)
    assert two.obs["semst"].equals(one.obs["semst"])

    model = scsemst.SemST.load(folder / "model")
    assert model.record["batches"]["names"] == ["a", "b"]
    again = scsemst.tl.predict(one, model, key_added="again", copy=True)
    assert_alike(again, one, "X_again")
    assert (again.obs["again"] == one.obs["semst"]).mean() > 0.95


def test_each_process_holds_about_half_of_the_data(one: AnnData, two: AnnData):
    (whole,), halves = (adata.uns["semst"]["processes"]["bytes"] for adata in (one, two))
    assert one.uns["semst"]["processes"]["spots"].tolist() == [one.n_obs]
    assert whole > 300 * one.n_obs * 0.05 * 8
    assert len(halves) == 2
    # What is above the half are the surroundings, two hops around: much of a part of 450 spots, little of a large one
    assert (0.45 * whole < halves).all()
    assert (halves < 0.65 * whole).all()
    assert halves.sum() < 1.2 * whole


def test_the_output_is_the_input_with_the_results(band: AnnData, two: AnnData, folder: Path):
    assert (two.X != band.X).nnz == 0
    np.testing.assert_array_equal(two.obsm["spatial"], band.obsm["spatial"])
    assert [*band.obs, "semst"] == [*two.obs]
    assert {"spatial_connectivities", "spatial_distances"} <= set(two.obsp)
    assert {"X_gene_semantics", "X_semst"} <= set(two.obsm)
    assert two.uns["semst"]["semantics"]["organism"] == "human"
    assert not list(folder.glob(".*")), "no part files"


def test_interrupted_and_continued(folder: Path, one: AnnData, monkeypatch: pytest.MonkeyPatch):
    from scsemst.distributed import train as module

    objective, calls = module.objective, []

    def stop(*args: object):
        calls.append(None)
        if len(calls) == 6:  # the second part of the third step
            raise MemoryError
        return objective(*args)

    monkeypatch.setattr(module, "objective", stop)
    options = ["--parts-per-step", "2", "--checkpoint-dir", str(folder / "run"), "--checkpoint-minutes", "0"]
    with pytest.raises(MemoryError):
        train(folder, "stopped.h5ad", *options)
    monkeypatch.undo()
    assert not (folder / "stopped.h5ad").exists()
    assert (folder / "run" / "checkpoint.json").exists()
    with pytest.raises(SystemExit, match="another run. What differs: parts_per_step"):
        train(folder, "stopped.h5ad", "--parts-per-step", "3", "--checkpoint-dir", str(folder / "run"))

    calls[:] = [None] * 6  # it could not repeat its first steps and pass
    monkeypatch.setattr(module, "objective", stop)
    assert_alike(train(folder, "continued.h5ad", *options), one)
    assert len(calls) - 6 == 2 * (EPOCHS - 2)
    assert not (folder / "run").exists()


BAD = [
    (["--parts-per-step", "0"], "--parts-per-step must be at least 1"),
    (["--layer", "raw"], r"layers\['raw'\] not found"),
    (["--neighbors-key", "graph"], r"obsp\['graph'\] not found"),
    (["--semantics-key", "meaning"], r"obsm\['meaning'\] not found"),
    (["--n-domains", "0"], "n_domains must be between 1 and"),
    (["--batch-key", "section"], r"adata.obs\['section'\] not found"),
    (["--integrate", "harmony"], "Pass batch_key="),
    (["--integrate", "harmony", "--save-model", "model"], "no model can be made of it"),
    (["--save-model", os.devnull], "is a file. Pass the name of a folder"),
    (["--epochs", "0"], "epochs must be at least 1"),
    (["--seed", "-1"], "rng must be a whole number"),
    (["--key-added", "half", "--batch-key", "half"], "key_added='half' would overwrite the slices"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_named(folder: Path, options: list[str], message: str):
    with pytest.raises(SystemExit, match=message):
        train(folder, "bad.h5ad", *options)
    assert not (folder / "bad.h5ad").exists()
    assert not list(folder.glob(".*"))


def test_no_coordinates(band: AnnData, tmp_path: Path):
    adata = band[:50].copy()
    del adata.obsm["spatial"]
    adata.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(SystemExit, match=r"obsm\['spatial'\] not found.*squidpy"):
        train(tmp_path, "out.h5ad")


def test_rows_of_another_process_are_not_made_up(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        rows = read_dense(file.create_dataset("x", data=values), np.array([3, 4, 17, 39]))
    assert isinstance(rows, Rows)
    assert rows.shape == values.shape
    np.testing.assert_array_equal(rows[np.array([39, 4])], values[[39, 4]])
    for absent in (5, 0):
        with pytest.raises(IndexError, match="another process"):
            rows[np.array([4, absent])]


def test_files_that_cannot_be_read_or_written_are_found_before_training(tmp_path: Path):
    (tmp_path / "table.csv").write_text("a,b\n")
    with h5py.File(tmp_path / "matrix.h5", "w") as file:
        file["matrix"] = [1, 2]
    for name in ("table.csv", "matrix.h5"):
        with pytest.raises(SystemExit, match=rf"{name}' is no h5ad file.*write_h5ad"):
            main(["train", str(tmp_path / name), str(tmp_path / "out.h5ad")])
    with pytest.raises(SystemExit, match="is a folder. Name the h5ad file"):
        main(["train", str(tmp_path / "table.csv"), str(tmp_path)])
    with pytest.raises(SystemExit, match="is a folder. Only h5ad files"):
        main(["train", str(tmp_path), str(tmp_path / "out.h5ad")])
    with pytest.raises(SystemExit, match="no zarr store"):
        main(["train", str(tmp_path / "table.csv"), str(tmp_path / "out.zarr")])


def test_a_file_cut_short(folder: Path, tmp_path: Path):
    content = (folder / "in.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(content[: len(content) // 2])
    with pytest.raises(SystemExit, match=r"cut.h5ad' cannot be read: .*truncated.*again"):
        main(["train", str(tmp_path / "cut.h5ad"), str(tmp_path / "out.h5ad")])


def test_where_nothing_can_be_written(folder: Path):
    with pytest.raises(SystemExit, match="scsemst train: .*/proc/"):
        main(["train", str(folder / "in.h5ad"), "/proc/out.h5ad"])


def test_too_few_spots_for_a_graph(band: AnnData, tmp_path: Path):
    band[:5].write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(SystemExit, match="5 spots are too few for six neighbours each.*squidpy"):
        main(["train", str(tmp_path / "few.h5ad"), str(tmp_path / "out.h5ad")])


@pytest.mark.parametrize("kind", ["sparse", "frame"])
def test_semantics_of_any_storage(band: AnnData, folder: Path, kind: str):
    adata = band.copy()
    vectors = np.random.default_rng(0).normal(size=(adata.n_obs, 6)).astype(np.float32)
    frame = pd.DataFrame(vectors, index=adata.obs_names, columns=list("abcdef"))
    found = []
    for value in (vectors, sparse.csr_matrix(vectors) if kind == "sparse" else frame):
        adata.obsm["X_mine"] = value
        adata.write_h5ad(folder / "mine.h5ad")
        found.append(train(folder, "mine_out.h5ad", "--semantics-key", "X_mine", source="mine.h5ad"))
    np.testing.assert_array_equal(found[0].obsm["X_semst"], found[1].obsm["X_semst"])


@pytest.mark.parametrize(
    ("key", "message"), [("a/b", "--key-added='a/b' has a slash"), ("gene_semantics", "holds semantics")]
)
def test_keys_that_would_lose_something(folder: Path, key: str, message: str):
    with pytest.raises(SystemExit, match=message):
        main(["train", str(folder / "in.h5ad"), str(folder / "never.h5ad"), "--key-added", key])
    assert not (folder / "never.h5ad").exists()
