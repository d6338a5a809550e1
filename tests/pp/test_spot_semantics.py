from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from anndata import concat, read_h5ad

import scsemst
from scsemst.language.encoders.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

KEY = "X_spot_semantics"


@pytest.fixture
def spots() -> AnnData:
    return scsemst.datasets.dlpfc()[:40].copy()


def test_writes_spot_vectors_and_nothing_else(spots: AnnData, minilm: Path, tmp_path: Path):
    before = spots.copy()
    assert scsemst.pp.spot_semantics(spots, model=minilm) is None
    vectors = spots.obsm[KEY]
    assert vectors.shape == (40, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-5)
    record = spots.uns[KEY]
    assert record["params"]["rank_by"] == "deviance"
    assert record["n_prompts"] == 40
    assert str(minilm) not in record["encoder"]
    np.testing.assert_array_equal(spots.X.toarray(), before.X.toarray())
    del spots.obsm[KEY], spots.uns[KEY]
    assert set(spots.obsm) == set(before.obsm)
    assert set(spots.uns) == set(before.uns)

    copied = scsemst.pp.spot_semantics(spots, model=minilm, key_added="mine", copy=True)
    assert "mine" not in spots.obsm
    np.testing.assert_array_equal(copied.obsm["mine"], vectors)
    copied.write_h5ad(tmp_path / "spots.h5ad")
    assert read_h5ad(tmp_path / "spots.h5ad").uns["mine"]["params"]["n_top_genes"] == 10


def test_second_run_and_identical_spots_make_no_forward_pass(
    spots: AnnData, minilm: Path, monkeypatch: pytest.MonkeyPatch
):
    scsemst.pp.spot_semantics(spots, model=minilm, preset="paper")

    def fail(*_: object) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(Checkpoint, "model", property(fail))
    twice = concat([spots, spots], keys=["first", "second"], index_unique="-")
    scsemst.pp.spot_semantics(twice, model=minilm, preset="paper")
    np.testing.assert_array_equal(twice.obsm[KEY][:40], spots.obsm[KEY])
    np.testing.assert_array_equal(twice.obsm[KEY][40:], spots.obsm[KEY])
    with pytest.raises(AssertionError, match="weights were loaded"):
        scsemst.pp.spot_semantics(spots, model=minilm, preset="paper", prompt="Other: {genes}")


def test_paper_preset_is_the_plain_computation(spots: AnnData, smollm2: Path):
    """Chat template, ten most expressed genes, mean over all tokens: a loop over whole prompts gives the same."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from scsemst.language.prompts import PAPER_PROMPT, PAPER_SYSTEM

    spots = spots[:5].copy()
    scsemst.pp.spot_semantics(spots, model=smollm2, preset="paper", device="cpu", batch_size=2, cache=False)
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32).eval()
    x = spots.X.toarray()
    for spot in range(5):
        order = sorted(range(spots.n_vars), key=lambda gene: (-x[spot, gene], spots.var_names[gene]))[:10]
        genes = ", ".join(spots.var_names[order])
        messages = [
            {"role": "system", "content": PAPER_SYSTEM},
            {"role": "user", "content": PAPER_PROMPT.replace("{genes}", genes)},
        ]
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        tokens = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**tokens, output_hidden_states=True).hidden_states[-1][0]
        np.testing.assert_allclose(spots.obsm[KEY][spot], hidden.mean(dim=0).numpy(), atol=1e-4, rtol=0)


def test_spots_without_counts_get_the_mean(spots: AnnData, minilm: Path):
    spots.X = spots.X.multiply((np.arange(40) != 3)[:, None]).tocsr()
    with pytest.warns(UserWarning, match="1 of 40 spots have no counts"):
        scsemst.pp.spot_semantics(spots, model=minilm)
    np.testing.assert_array_equal(spots.obsm[KEY][3], 0)
    assert spots.uns[KEY]["n_empty_spots"] == 1
    with pytest.warns(UserWarning, match="have no counts"):
        scsemst.pp.spot_semantics(spots, model=minilm, center=False, key_added="raw")
    np.testing.assert_allclose(spots.obsm["raw"][3], np.delete(spots.obsm["raw"], 3, axis=0).mean(axis=0), atol=1e-5)


def test_symbols_from_a_column(spots: AnnData, minilm: Path):
    scsemst.pp.spot_semantics(spots, model=minilm)
    ensembl = spots.copy()
    ensembl.var["symbol"] = ensembl.var_names.to_numpy(dtype=object)
    ensembl.var_names = [f"ENSG{i:011d}" for i in range(ensembl.n_vars)]
    scsemst.pp.spot_semantics(ensembl, model=minilm, gene_symbols="symbol", key_added="named")
    np.testing.assert_array_equal(ensembl.obsm["named"], spots.obsm[KEY])
    with pytest.warns(UserWarning, match="Pass gene_symbols="):
        scsemst.pp.spot_semantics(ensembl[:3].copy(), model=minilm)


def test_bad_input_leaves_nothing_behind(spots: AnnData, minilm: Path, tmp_path: Path):
    empty = spots.copy()
    empty.X = empty.X * 0
    scaled = spots.copy()
    scaled.X = scaled.X - 1.0 * (scaled.X > 0) * 2
    cases = [
        (spots, {"layer": "counts"}, KeyError, r"adata.layers\['counts'\] not found"),
        (spots, {"gene_symbols": "symbol"}, KeyError, r"adata.var\['symbol'\] not found"),
        (spots, {"preset": "authors"}, ValueError, "'authors' is not one of None, 'paper'"),
        (spots, {"rank_by": "name"}, ValueError, "'name' is not one of 'deviance', 'expression'"),
        (spots, {"n_top_genes": 0}, ValueError, "n_top_genes must be at least 1"),
        (spots, {"prompt": "Genes?"}, ValueError, "'{genes}' in it once"),
        (spots, {"model": tmp_path}, ValueError, "has no tokenizer"),
        (spots, {"model": tmp_path / "none"}, ValueError, "no such folder"),
        (empty, {}, ValueError, "No spot has any counts"),
        (scaled, {}, ValueError, "negative values"),
    ]
    for adata, options, error, message in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(error, match=message):
                scsemst.pp.spot_semantics(adata, **({"model": minilm} | options))
        assert KEY not in adata.obsm
        assert KEY not in adata.uns
