"""Parts of a slice against the whole of it, and matrices on disk against those in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import squidpy as sq
import torch
from sklearn.metrics import adjusted_rand_score

import scsemst
from scsemst.graphs import spatial_graph
from scsemst.training.batches import Batches
from scsemst.training.expression import read_expression
from scsemst.training.partition import partition, surroundings

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


@pytest.fixture(scope="module")
def part(cortex: AnnData) -> AnnData:
    adata = cortex[:1200, :800].copy()
    sc.pp.filter_cells(adata, min_counts=1)
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    return adata


def test_parts_hold_every_spot_once(part: AnnData):
    graph = spatial_graph(part)
    parts = partition(graph, 6)
    assert len(parts) == 6
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(part.n_obs))
    assert max(map(len, parts)) < 1.3 * part.n_obs / 6
    again = partition(graph, 6)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_surroundings_are_all_spots_within_two_hops(part: AnnData):
    graph = spatial_graph(part)
    core = partition(graph, 6)[2]
    reach = (graph + graph @ graph).toarray() > 0
    expected = np.setdiff1d(np.flatnonzero(reach[core].any(axis=0)), core)
    assert np.array_equal(surroundings(graph, core), expected)


def test_the_spatial_view_of_a_part_is_exact(part: AnnData):
    expression = read_expression(part, layer=None, n_top_genes=3000, likelihood="zinb")
    torch.manual_seed(0)
    view = scsemst.nn.GraphEncoder(expression.genes.size, 16)
    out = {}
    for size in (part.n_obs, 250):
        batches = Batches(
            expression,
            spatial_graph(part),
            None,
            None,
            None,
            batch_size=size,
            n_neighbors=15,
            normalization="row",
            device=torch.device("cpu"),
        )
        out[size] = np.empty((part.n_obs, 16), dtype=np.float32)
        for i, core in enumerate(batches.parts):
            with torch.no_grad():
                out[size][core] = view(batches[i].x, batches[i].spatial_graph)[batches[i].core]
    assert len(batches) > 3
    np.testing.assert_allclose(out[250], out[part.n_obs], rtol=1e-4, atol=1e-5)


def test_batches_that_stay_on_a_gpu_give_the_same(part: AnnData, monkeypatch: pytest.MonkeyPatch):
    options = {"semantics_key": None, "progress": False, "epochs": 3, "batch_size": 300, "copy": True}
    expected = scsemst.tl.semst(part, **options).obsm["X_semst"]
    made = []
    init = scsemst.nn.Observed.__init__
    monkeypatch.setattr(Batches, "_has_room", lambda self: self.keep)
    monkeypatch.setattr(scsemst.nn.Observed, "__init__", lambda *args, **kw: (made.append(1), init(*args, **kw))[1])
    found = scsemst.tl.semst(part, **options).obsm["X_semst"]
    assert len(made) == 4  # three epochs and the latent space
    np.testing.assert_array_equal(found, expected)


def test_parts_find_the_domains_of_the_whole(adata: AnnData):
    options = {"n_domains": 7, "semantics_key": None, "progress": False, "copy": True}
    whole = scsemst.tl.semst(adata, **options)
    parts = scsemst.tl.semst(adata, batch_size=1000, **options)
    assert whole.uns["semst"]["params"]["batch_size"] == adata.n_obs
    assert parts.uns["semst"]["params"]["batch_size"] == 1000
    assert adjusted_rand_score(whole.obs["semst"], parts.obs["semst"]) >= 0.9


@pytest.mark.parametrize("kind", ["backed", "dask"])
def test_a_matrix_on_disk_gives_the_same(part: AnnData, tmp_path: Path, kind: str):
    options = {"semantics_key": None, "progress": False, "epochs": 3, "n_top_genes": 300}
    expected = scsemst.tl.semst(part, copy=True, **options).obsm["X_semst"]
    path = tmp_path / "slice.h5ad"
    part.write_h5ad(path)
    if kind == "backed":
        lazy = ad.read_h5ad(path, backed="r")
    else:
        lazy = ad.AnnData(ad.experimental.read_elem_lazy(_open(path)["X"]), obs=part.obs, var=part.var)
        lazy.obsp["spatial_connectivities"] = part.obsp["spatial_connectivities"]
    scsemst.tl.semst(lazy, **options)
    np.testing.assert_allclose(lazy.obsm["X_semst"], expected, rtol=1e-4, atol=1e-5)


def _open(path: Path):
    import h5py

    return h5py.File(path, "r")


def test_interrupted_training_leaves_no_trace(part: AnnData, monkeypatch: pytest.MonkeyPatch):
    from scsemst.training import fit

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "objective", interrupt)
    adata = part.copy()
    before = set(adata.obsm), set(adata.uns), set(adata.obs)
    with pytest.raises(KeyboardInterrupt, match="data are unchanged.*checkpoint_dir="):
        scsemst.tl.semst(adata, 3, semantics_key=None, progress=False)
    assert before == (set(adata.obsm), set(adata.uns), set(adata.obs))
