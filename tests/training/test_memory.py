"""Devices whose memory is too small: simulated, since what is raised is what torch raises."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scanpy as sc
import squidpy as sq
import torch

import scsemst
from scsemst.training.memory import shrinking

if TYPE_CHECKING:
    from anndata import AnnData

OPTIONS = {"n_domains": 4, "epochs": 6, "semantics_key": None, "progress": False, "copy": True}


@pytest.fixture(scope="module")
def part(cortex: AnnData) -> AnnData:
    adata = cortex[:1100, :200].copy()
    sc.pp.filter_cells(adata, min_counts=1)
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    return adata


def limit(monkeypatch: pytest.MonkeyPatch, n_spots: int, *, train: bool) -> None:
    """Give the encoder memory for so many spots, surroundings included, in training or else out of it."""
    encode = scsemst.nn.SemST.encode

    def limited(self, x, *args, **kwargs):
        if x.shape[0] > n_spots and torch.is_grad_enabled() == train:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        return encode(self, x, *args, **kwargs)

    monkeypatch.setattr(scsemst.nn.SemST, "encode", limited)


@pytest.mark.parametrize("train", [True, False], ids=["training", "encoding"])
def test_smaller_batches_are_as_if_asked_for(part: AnnData, monkeypatch: pytest.MonkeyPatch, tmp_path, train: bool):
    n = part.n_obs
    expected = scsemst.tl.semst(part, batch_size=n // 4, **OPTIONS)
    limit(monkeypatch, n // 2, train=train)  # a half has surroundings as well, so it takes quarters
    with pytest.warns(UserWarning) as warned:
        found = scsemst.tl.semst(part, checkpoint_dir=tmp_path, checkpoint_minutes=0, **OPTIONS)
    messages = [str(w.message) for w in warned if "too little memory" in str(w.message)]
    assert [f"batch_size={size}" in m for m, size in zip(messages, (n // 2, n // 4), strict=True)] == [True, True]
    assert found.uns["semst"]["params"]["batch_size"] == n // 4
    np.testing.assert_array_equal(found.obsm["X_semst"], expected.obsm["X_semst"])
    assert found.obs["semst"].equals(expected.obs["semst"])


def test_what_failed_is_gone_when_the_next_size_is_tried(part: AnnData, monkeypatch: pytest.MonkeyPatch):
    encode = scsemst.nn.SemST.encode
    alive: list[int] = []

    def limited(self, x, *args, **kwargs):
        alive.append(sum(isinstance(thing, scsemst.nn.SemST) for thing in gc.get_objects()))
        if x.shape[0] > part.n_obs / 2:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        return encode(self, x, *args, **kwargs)

    monkeypatch.setattr(scsemst.nn.SemST, "encode", limited)
    gc.collect()
    gc.disable()  # a collection that happens to come would hide it
    try:
        with pytest.warns(UserWarning, match="too little memory"):
            scsemst.tl.semst(part, **OPTIONS)
    finally:
        gc.enable()
    assert max(alive) == alive[0]


def test_what_does_not_fit_at_all_is_an_error(part: AnnData, monkeypatch: pytest.MonkeyPatch):
    limit(monkeypatch, 10, train=True)
    with pytest.warns(UserWarning, match="too little memory"), pytest.raises(torch.OutOfMemoryError):
        scsemst.tl.semst(part, **OPTIONS)


def test_sizes_that_are_tried():
    tried = []

    def attempt(size: int) -> int:
        tried.append(size)
        if size > 2048:
            raise torch.OutOfMemoryError
        return size

    with pytest.warns(UserWarning, match=r"batches of 1000000 spots.*batch_size=8192"):
        assert shrinking(attempt, 2_000_000, 1_000_000) == 2048
    assert tried == [2_000_000, 8192, 4096, 2048]


def test_prediction_takes_smaller_batches(part: AnnData, monkeypatch: pytest.MonkeyPatch):
    options = {name: value for name, value in OPTIONS.items() if name != "copy"}
    model = scsemst.SemST.from_adata(part.copy(), **options)
    n = part.n_obs
    limit(monkeypatch, n - 1, train=False)
    other = part.copy()
    with pytest.warns(UserWarning, match=rf"batches of {n} spots.*batch_size={n // 2}"):
        scsemst.tl.predict(other, model, through="genes")
    assert np.isfinite(other.obsm["X_semst"]).all()
