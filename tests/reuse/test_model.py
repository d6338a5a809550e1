"""`SemST.from_adata` is `tl.semst` that keeps its model."""

from __future__ import annotations

import numpy as np
import pytest

import scsemst


@pytest.mark.parametrize("rng", [3, None], ids=["seed", "generator"])
def test_trains_as_tl_semst_does(corner, rng):
    options = {"n_top_genes": 600, "epochs": 3, "progress": False}
    one, other = corner.copy(), corner.copy()
    scsemst.tl.semst(one, 4, rng=np.random.default_rng(5) if rng is None else rng, **options)
    scsemst.SemST.from_adata(other, 4, rng=np.random.default_rng(5) if rng is None else rng, **options)
    np.testing.assert_array_equal(one.obsm["X_semst"], other.obsm["X_semst"])
    assert one.obs["semst"].equals(other.obs["semst"])
    assert one.uns["semst"].keys() == other.uns["semst"].keys()
    assert one.uns["semst"]["params"] == other.uns["semst"]["params"]


def test_writes_what_tl_semst_writes(corner):
    one, other = corner.copy(), corner.copy()
    scsemst.tl.semst(one, 2, epochs=1, progress=False, key_added="k")
    scsemst.SemST.from_adata(other, 2, epochs=1, progress=False, key_added="k")
    for attribute in ("obs", "obsm", "uns", "varm", "obsp"):
        assert list(getattr(one, attribute)) == list(getattr(other, attribute))
    assert "fsm" in other.uns["k"]


def test_chooses_the_number_of_domains(corner, tmp_path):
    adata = corner.copy()
    model = scsemst.SemST.from_adata(adata, "auto", n_top_genes=300, epochs=1, progress=False)
    assert model.n_domains == adata.uns["n_domains"]["n_domains"] == adata.obs["semst"].nunique()
    model.save(tmp_path / "m")
    assert scsemst.SemST.load(tmp_path / "m").record["n_domains"] == model.n_domains


def test_what_it_knows(trained, corner):
    model, adata = trained
    assert len(model.gene_names) == 600
    assert set(model.gene_names) <= set(corner.var_names)
    assert model.n_domains == adata.obs["semst"].nunique() == 4
    assert model.record["semantics"]["table_hash"] == adata.uns["X_gene_semantics"]["table_hash"]
    assert type(model.module).__module__.startswith("scsemst.nn")
    model.record["params"].clear()
    assert model.record["params"], "a copy"


def test_bad_calls(corner):
    with pytest.raises(TypeError, match=r"no copy=.*adata\.copy"):
        scsemst.SemST.from_adata(corner, 4, copy=True)
    with pytest.raises(TypeError, match="nonsense"):
        scsemst.SemST.from_adata(corner, 4, nonsense=1)
    keys = set(corner.obsm) | set(corner.uns)
    with pytest.raises(ValueError, match="n_domains must be between 1 and"):
        scsemst.SemST.from_adata(corner, corner.n_obs + 1)
    assert set(corner.obsm) | set(corner.uns) == keys
