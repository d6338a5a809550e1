"""The four calls, then what a squidpy and scanpy user does next."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import squidpy as sq
from scipy import sparse

import scsemst

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

N_DOMAINS = 7


def digest(value: object) -> str:
    """Hash the bytes of a matrix."""
    parts = (value.data, value.indices, value.indptr) if sparse.issparse(value) else (np.asarray(value),)
    return hashlib.sha256(b"".join(p.dtype.str.encode() + np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()


def inputs(adata: AnnData) -> dict[str, str]:
    """Everything that belongs to the user: byte for byte."""
    found = {"X": digest(adata.X), "raw": digest(adata.raw.X), "spatial": digest(adata.obsm["spatial"])}
    found |= {f"layer {key}": digest(adata.layers[key]) for key in adata.layers}
    found |= {f"graph {key}": digest(adata.obsp[key]) for key in ("spatial_connectivities", "spatial_distances")}
    found["annotation"] = hashlib.sha256(pickle.dumps(adata.obs["ground_truth"].tolist())).hexdigest()
    found["names"] = hashlib.sha256(pickle.dumps([*adata.obs_names, *adata.var_names])).hexdigest()
    return found


@pytest.fixture(scope="module")
def analysed(cortex: AnnData) -> AnnData:
    """The slice after the four calls, with the inputs checked after each."""
    adata = cortex.copy()
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata
    before = inputs(adata)

    assert scsemst.pp.gene_semantics(adata) is None
    assert inputs(adata) == before
    assert scsemst.tl.semst(adata, n_domains=N_DOMAINS, rng=0) is None
    assert inputs(adata) == before
    assert scsemst.pl.domains(adata, show=False) is not None
    assert inputs(adata) == before
    return adata


def test_the_four_calls_write_what_they_promise(analysed: AnnData):
    n_obs = analysed.n_obs
    assert analysed.obsm["X_gene_semantics"].shape[0] == n_obs
    assert analysed.obsm["X_semst"].shape[0] == n_obs
    assert np.isfinite(analysed.obsm["X_semst"]).all()
    labels = analysed.obs["semst"]
    assert labels.dtype == "category"
    assert labels.notna().all()
    assert labels.nunique() == N_DOMAINS
    assert {"params"} <= analysed.uns["semst"].keys()


def test_squidpy_and_scanpy_go_on_from_there(analysed: AnnData):
    adata = analysed.copy()
    sq.gr.nhood_enrichment(adata, cluster_key="semst", seed=0, show_progress_bar=False)
    zscore = adata.uns["semst_nhood_enrichment"]["zscore"]
    assert zscore.shape == (N_DOMAINS, N_DOMAINS)
    assert (np.diag(zscore) > 0).all(), "domains neighbour themselves"

    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.tl.rank_genes_groups(adata, "semst", use_raw=False)
    assert set(adata.uns["rank_genes_groups"]["names"].dtype.names) == set(adata.obs["semst"].cat.categories)

    sc.pp.neighbors(adata, use_rep="X_semst")
    assert adata.obsp["connectivities"].shape == (adata.n_obs, adata.n_obs)


def test_write_and_read_h5ad(analysed: AnnData, tmp_path: Path):
    analysed.write_h5ad(tmp_path / "adata.h5ad")
    read = ad.read_h5ad(tmp_path / "adata.h5ad")
    np.testing.assert_array_equal(read.obsm["X_semst"], analysed.obsm["X_semst"])
    np.testing.assert_array_equal(read.obsm["X_gene_semantics"], analysed.obsm["X_gene_semantics"])
    assert read.obs["semst"].tolist() == analysed.obs["semst"].tolist()
    assert read.uns["semst"].keys() == analysed.uns["semst"].keys()
    assert scsemst.pl.domains(read, show=False) is not None


def test_the_same_seed_gives_the_same_bits(analysed: AnnData):
    import torch

    def run(rng: int) -> AnnData:
        return scsemst.tl.semst(analysed, n_domains=N_DOMAINS, epochs=5, rng=rng, key_added="again", copy=True)

    first = run(1)
    np.random.seed(3)  # noqa: NPY002 what other code in the process may have done
    np.random.rand(100)  # noqa: NPY002
    torch.manual_seed(3)
    torch.rand(100)
    second = run(1)
    assert digest(first.obsm["X_again"]) == digest(second.obsm["X_again"])
    assert first.obs["again"].tolist() == second.obs["again"].tolist()
    assert digest(run(2).obsm["X_again"]) != digest(first.obsm["X_again"])


def test_global_random_state_is_left_alone(analysed: AnnData):
    import torch

    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    scsemst.tl.semst(analysed, n_domains=N_DOMAINS, epochs=1, copy=True)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
