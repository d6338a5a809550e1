"""Models on disk: whole, versioned, and refused where they are not ours or not intact."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import squidpy as sq

import scsemst

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(trained, tmp_path: Path) -> Path:
    trained[0].save(tmp_path / "model")
    return tmp_path / "model"


def weights(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


def change_config(folder: Path, **values) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_loaded_model_predicts_the_same_bits(trained, corner, folder: Path):
    loaded = scsemst.SemST.load(folder)
    first, second = (scsemst.tl.predict(corner, model, copy=True) for model in (trained[0], loaded))
    np.testing.assert_array_equal(first.obsm["X_semst"], second.obsm["X_semst"])
    assert first.obs["semst"].equals(second.obs["semst"])
    assert loaded.record["params"] == trained[0].record["params"]
    np.testing.assert_array_equal(loaded.record["history"]["loss"], trained[0].record["history"]["loss"])
    assert repr(loaded) == repr(trained[0])


@pytest.mark.parametrize(
    "options",
    [{"preset": "paper"}, {"semantics_key": None, "likelihood": "nb"}, {"n_domains": None, "likelihood": "gaussian"}],
    ids=["paper", "no semantics", "no domains"],
)
def test_every_kind_of_model_comes_back(corner, tmp_path: Path, options: dict):
    model = scsemst.SemST.from_adata(corner.copy(), **{"n_domains": 2, "epochs": 2, "progress": False, **options})
    model.save(tmp_path / "m")
    first, second = (scsemst.tl.predict(corner, m, copy=True) for m in (model, scsemst.SemST.load(tmp_path / "m")))
    np.testing.assert_array_equal(first.obsm["X_semst"], second.obsm["X_semst"])
    assert ("semst" in second.obs) == (model.n_domains is not None)


def test_a_model_from_before_the_rule_for_few_spots_averages_as_it_did(trained, corner, folder: Path):
    options = json.loads((folder / "config.json").read_text())["options"]
    assert options.pop("enough_spots") == 1000 > corner.n_obs
    change_config(folder, options=options)
    now, then = (scsemst.tl.predict(corner, model, copy=True) for model in (trained[0], scsemst.SemST.load(folder)))
    assert np.abs(now.obsm["X_semst"] - then.obsm["X_semst"]).max() > 0.01
    change_config(folder, options={**options, "enough_spots": -1})
    with pytest.raises(ValueError, match="damaged.*enough_spots"):
        scsemst.SemST.load(folder)


def test_nothing_is_pickled(folder: Path):
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors"]
    for path in folder.iterdir():
        with pytest.raises((pickle.UnpicklingError, ValueError, IndexError, KeyError, EOFError)):
            pickle.loads(path.read_bytes())


def test_a_model_is_replaced_whole(trained, corner, folder: Path):
    other = scsemst.SemST.from_adata(corner.copy(), 3, epochs=1, progress=False)
    old = weights(folder)
    other.save(folder)
    assert scsemst.SemST.load(folder).n_domains == 3
    assert not old.exists()


def test_an_interrupted_save_leaves_the_old_model(trained, corner, folder: Path, monkeypatch: pytest.MonkeyPatch):
    import os

    other = scsemst.SemST.from_adata(corner.copy(), 3, epochs=1, progress=False)
    replace = os.replace

    def fail_at_the_config(source, target):
        if str(target).endswith("config.json"):
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_config)
    with pytest.raises(OSError, match="disk full"):
        other.save(folder)
    monkeypatch.undo()
    assert scsemst.SemST.load(folder).n_domains == 4
    assert not list(folder.glob(".*")), "no part files"


def flip_a_byte(folder: Path) -> None:
    content = bytearray(weights(folder).read_bytes())
    content[len(content) // 2] ^= 1
    weights(folder).write_bytes(content)


def lose_a_tensor(folder: Path) -> None:
    """A consistent folder, but not of a whole model."""
    import hashlib

    from safetensors.numpy import load, save

    tensors = load(weights(folder).read_bytes())
    del tensors["module.to_latent.0.weight"]
    content = save(tensors)
    weights(folder).write_bytes(content)
    change_config(folder, weights_sha256=hashlib.sha256(content).hexdigest())


DAMAGE = {
    "newer version": (
        lambda f: change_config(f, format_version=99, scsemst_version="9.0"),
        ValueError,
        r"newer version, scsemst 9\.0 \(format 99\).*Upgrade",
    ),
    "another library's model": (lambda f: change_config(f, format="bert"), ValueError, "not of a scsemst model"),
    "no version": (lambda f: change_config(f, format_version=None), ValueError, "damaged.*format_version"),
    "half a JSON": (
        lambda f: (f / "config.json").write_text((f / "config.json").read_text()[:500]),
        ValueError,
        r"config\.json' is damaged",
    ),
    "binary JSON": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), ValueError, "is damaged"),
    "half the weights": (
        lambda f: weights(f).write_bytes(weights(f).read_bytes()[:1000]),
        ValueError,
        "safetensors' is damaged",
    ),
    "one bit": (flip_a_byte, ValueError, "safetensors' is damaged"),
    "a lost tensor": (lose_a_tensor, ValueError, "damaged.*to_latent"),
    "no weights": (lambda f: weights(f).unlink(), FileNotFoundError, "weights of the model, is missing"),
    "weights elsewhere": (lambda f: change_config(f, weights="../x.safetensors"), ValueError, "no name of weights"),
    "no config": (lambda f: (f / "config.json").unlink(), FileNotFoundError, r"no model.*config\.json is missing"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(folder: Path, damage: str):
    inflict, error, message = DAMAGE[damage]
    inflict(folder)
    with pytest.raises(error, match=message):
        scsemst.SemST.load(folder)


def test_no_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        scsemst.SemST.load(tmp_path / "nowhere")


def test_foreign_folders_are_not_written_to(trained, tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="not of a scsemst model"):
        trained[0].save(tmp_path)
    with pytest.raises(ValueError, match="not of a scsemst model"):
        trained[0].save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text() == '{"model_type": "bert"}'
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        trained[0].save(tmp_path / "file")


def test_hub_mixin(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Up to the network: what would be uploaded is what can be read."""
    import shutil

    import huggingface_hub
    from huggingface_hub import HfApi

    uploaded = tmp_path / "repo"
    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **_: type("Url", (), {"repo_id": repo_id}))
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, folder_path, **_: shutil.copytree(folder_path, uploaded))
    trained[0].push_to_hub("someone/cortex")
    assert "scsemst" in (uploaded / "README.md").read_text()
    assert repr(scsemst.SemST.from_pretrained(uploaded)) == repr(trained[0])

    seen = {}

    def snapshot_download(repo_id, **options):
        seen.update(options, repo_id=repo_id)
        return str(uploaded)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub.hub_mixin, "hf_hub_download", lambda **_: str(uploaded / "config.json"))
    model = scsemst.SemST.from_pretrained("someone/cortex", revision="v1")
    assert repr(model) == repr(trained[0])
    assert (seen["repo_id"], seen["revision"]) == ("someone/cortex", "v1")


def test_a_model_of_values_remembers_whether_they_were_normalised(corner, tmp_path: Path):
    """One spot decides whether values look raw; without it, another slice is still read as training was."""
    adata = corner.copy()
    adata.X = adata.X * (25.5 / adata.X.max())
    model = scsemst.SemST.from_adata(adata, 3, likelihood="gaussian", epochs=3, progress=False)
    largest = adata.X.max(axis=1).toarray().ravel()
    part = adata[largest <= 25].copy()
    assert 0 < part.n_obs < adata.n_obs
    sq.gr.spatial_neighbors_knn(part, n_neighs=6)
    model.save(tmp_path / "model")
    for same in (model, scsemst.SemST.load(tmp_path / "model")):
        found = scsemst.tl.predict(part, same, key_added="p", copy=True)
        assert (found.obs["p"].astype(str) == part.obs["semst"].astype(str)).mean() > 0.9
    part.X = part.X - 1.0 * (part.X > 0).astype(np.float32) * 2
    with pytest.raises(ValueError, match="negative values, but the model was trained on values that were normalised"):
        scsemst.tl.predict(part, model)
