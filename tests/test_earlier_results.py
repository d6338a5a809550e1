"""What an earlier run left under a key does not stay beside the results of a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest

import scsemst

from .slices import corner

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


@pytest.fixture(scope="module")
def first() -> AnnData:
    """A slice after a run with domains and modulation."""
    adata = corner()
    scsemst.tl.semst(adata, 3, epochs=2, store_modulation=True, progress=False)
    return adata


def test_domains_and_modulation_are_of_the_last_run(first: AnnData):
    adata = first.copy()
    scsemst.tl.semst(adata, epochs=2, rng=1, progress=False)
    assert "semst" not in adata.obs
    assert not {"semst_alpha", "semst_beta"} & set(adata.obsm)
    assert "n_domains" not in adata.uns["semst"]["params"]

    adata = first.copy()
    scsemst.tl.semst(adata, 3, epochs=2, semantics_key=None, progress=False)
    with pytest.raises((KeyError, ValueError)):
        scsemst.pl.modulation(adata, show=False)


def test_of_a_prediction_too(first: AnnData):
    model = scsemst.SemST.from_adata(corner(), epochs=1, progress=False)  # without domains
    adata = first.copy()
    adata.obs["semst_probability"] = 1.0
    scsemst.tl.predict(adata, model)
    assert not {"semst", "semst_probability"} & set(adata.obs)
    assert "semst_alpha" not in adata.obsm


def test_a_column_that_no_run_wrote_stays():
    adata = corner()
    adata.obs["layer"] = "L1"
    scsemst.tl.semst(adata, epochs=1, key_added="layer", progress=False)
    assert (adata.obs["layer"] == "L1").all()


def test_the_command_line_leaves_none_either(first: AnnData, tmp_path: Path):
    from scsemst.__main__ import main

    first.write_h5ad(tmp_path / "in.h5ad")
    main(["train", str(tmp_path / "in.h5ad"), str(tmp_path / "out.h5ad"), "--epochs", "1"])
    read = ad.read_h5ad(tmp_path / "out.h5ad")
    assert "semst" not in read.obs
    assert list(read.obs) == [name for name in first.obs if name != "semst"]
    assert set(read.obsm) == set(first.obsm) - {"semst_alpha", "semst_beta"}
    assert (read.obsm["X_semst"] != first.obsm["X_semst"]).any()


@pytest.fixture
def backed(tmp_path: Path) -> AnnData:
    adata = corner()
    adata.obsm["X_semst"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4)).astype(np.float32)
    adata.write_h5ad(tmp_path / "slice.h5ad")
    return ad.read_h5ad(tmp_path / "slice.h5ad", backed="r")


CALLS: dict[str, Callable[..., object]] = {
    "gene_semantics": scsemst.pp.gene_semantics,
    "semst": lambda adata, **options: scsemst.tl.semst(adata, 3, **options),
    "domains": lambda adata, **options: scsemst.tl.domains(adata, 3, **options),
    "leiden_domains": scsemst.tl.leiden_domains,
}


@pytest.mark.parametrize("name", CALLS)
def test_results_that_cannot_be_written_are_not_computed(backed: AnnData, name: str, tmp_path: Path):
    options = {"checkpoint_dir": tmp_path / "kept"} if name == "semst" else {}
    with pytest.raises(ValueError, match=r"an object that is backed by a file: copy=True.*adata\.to_memory\(\)"):
        CALLS[name](backed, copy=True, **options)
    with pytest.raises(ValueError, match=r"a view of an object that is backed by a file: results.*to_memory\(\)"):
        CALLS[name](backed[:80], **options)
    assert not (tmp_path / "kept").exists()


def test_a_view_of_a_file_can_be_drawn(backed: AnnData):
    backed.obs["d"] = np.array(["a", "b"])[np.arange(backed.n_obs) % 2]
    view = backed[:80]
    assert scsemst.pl.domains(view, "d", show=False).collections
    assert "d_colors" not in view.uns


def test_the_checkpoint_stays_until_results_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from scsemst.training import run

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    adata, options = corner(), {"epochs": 2, "checkpoint_dir": tmp_path / "kept", "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(run, "write", full)
        with pytest.raises(OSError, match="No space"):
            scsemst.tl.semst(adata, 3, checkpoint_minutes=0, **options)
    assert (tmp_path / "kept").exists()
    scsemst.tl.semst(adata, 3, **options)
    assert not (tmp_path / "kept").exists()


def test_probabilities_go_with_their_domains():
    adata = corner()
    model = scsemst.SemST.from_adata(adata, 3, epochs=1, progress=False)
    scsemst.tl.predict(adata, model)
    assert "semst_probability" in adata.obs
    scsemst.tl.domains(adata, 2, n_init=2)
    assert "semst_probability" not in adata.obs
    scsemst.tl.predict(adata, model)
    scsemst.tl.leiden_domains(adata, 2)
    assert "semst_probability" not in adata.obs


@pytest.mark.parametrize("key", ["gene_semantics", "spot_semantics"])
def test_semantics_are_not_overwritten(key: str):
    adata = corner()
    with pytest.raises(ValueError, match=rf"X_{key}'\], which holds semantics"):
        scsemst.tl.semst(adata, 3, key_added=key)
    model = scsemst.SemST.from_adata(adata, 3, epochs=1, progress=False)
    with pytest.raises(ValueError, match="holds semantics"):
        scsemst.tl.predict(adata, model, key_added=key)
    with pytest.raises(ValueError, match="holds semantics"):
        scsemst.SemST.from_adata(adata, 3, key_added=key)
    with pytest.raises(ValueError, match="overwrite the semantics"):
        scsemst.tl.modulate(adata, "X_semst", key_added="X_gene_semantics")


def test_keys_can_be_read_back():
    for call in (scsemst.pp.gene_semantics, scsemst.tl.semst, scsemst.tl.leiden_domains):
        with pytest.raises(ValueError, match="key_added='a/b' has a slash"):
            call(corner(), key_added="a/b")


def test_semantics_of_another_encoder_are_not_those_of_training():
    adata = corner()
    rng = np.random.default_rng(0)
    adata.obsm["X_spot_semantics"] = rng.normal(size=(adata.n_obs, 8)).astype(np.float32)
    adata.uns["X_spot_semantics"] = {"encoder": "prompt:A@1", "params": {"n_top_genes": 20}}
    options = {"semantics_key": "X_spot_semantics", "epochs": 1, "progress": False}
    model = scsemst.SemST.from_adata(adata, 3, **options)
    for change, message in (
        ({"encoder": "prompt:B@9"}, "encoder='prompt:B@9'.*trained with had encoder='prompt:A@1'"),
        ({"params": {"n_top_genes": 30}}, "n_top_genes=30.*had n_top_genes=20"),
    ):
        other = adata.copy()
        other.uns["X_spot_semantics"] = {**adata.uns["X_spot_semantics"], **change}
        with pytest.raises(ValueError, match=message):
            scsemst.tl.predict(other, model, key_added="p")
        with pytest.raises(ValueError, match=message.split(".*")[0]):
            scsemst.pl.modulation(other, show=False)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("half", "the slices"),
        ("spatialdata_attrs", "what SpatialData knows"),
        ("region", "what SpatialData needs"),
        ("source", r"adata.uns\['source'\], of type str"),
    ],
)
def test_what_others_need_is_not_overwritten(first: AnnData, key: str, what: str):
    adata = first.copy()
    adata.obs["half"] = np.arange(adata.n_obs) % 2
    adata.uns["spatialdata_attrs"] = {"region": "spots", "region_key": "region", "instance_key": "spot"}
    adata.uns["source"] = "a study"
    before = adata.obs.copy()
    calls: list[Callable[[], object]] = [
        lambda: scsemst.tl.semst(adata, batch_key="half", key_added=key, epochs=1, progress=False),
        lambda: scsemst.SemST.from_adata(adata, batch_key="half", key_added=key, epochs=1, progress=False),
    ]
    if key != "half":
        calls += [
            lambda: scsemst.tl.domains(adata, 2, n_init=1, key_added=key),
            lambda: scsemst.tl.leiden_domains(adata, key_added=key),
            lambda: scsemst.tl.refine(adata, key_added=key),
        ]
    for call in calls:
        with pytest.raises(ValueError, match=f"key_added='{key}' would overwrite {what}.*Choose another key"):
            call()
    assert adata.obs.equals(before)


def test_two_columns_of_one_name(first: AnnData):
    adata = first.copy()
    adata.obs["other"] = "a"
    adata.obs.columns = [*adata.obs.columns[:-1], "semst"]
    with pytest.raises(ValueError, match="several columns of the name 'semst'"):
        scsemst.tl.refine(adata)
