from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from scsemst.language import gene_texts, gene_vectors, load_genes, load_vectors, match_genes
from scsemst.language.encoders import get_encoder
from scsemst.language.genes import DATA
from scsemst.language.vectors import standardize

from .test_cache import LetterEncoder

if TYPE_CHECKING:
    from anndata import AnnData

NAMES = ["GFAP", "gfap", "ENSG00000197971", "AQP4", "MBP", "PLP1", "CD3D", "CD3E", "AL669831.5"]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_bundled_vectors_belong_to_the_table(organism: str):
    vectors = load_vectors(organism)
    assert len(vectors) == len(load_genes(organism))
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.sqrt((vectors**2).sum(axis=1).mean()) == pytest.approx(1, abs=0.05)
    assert np.linalg.norm(vectors.mean(axis=0)) < 0.15, "centred"
    assert load_vectors(organism) is vectors, "read once"
    assert not vectors.flags.writeable


def test_bundled_data_stay_small():
    assert sum(Path(str(file)).stat().st_size for file in DATA.iterdir()) <= 11_500_000


def test_bundled_vectors_know_cell_types():
    types = {
        "oligodendrocyte": ["MBP", "MOG", "PLP1", "MAG", "CNP"],
        "T cell": ["CD3D", "CD3E", "CD4", "CD8A", "LCK"],
        "endothelial": ["CDH5", "KDR", "FLT1", "TEK", "PECAM1"],
    }
    for organism in ("human", "mouse"):
        names = [name for genes in types.values() for name in genes]
        vectors = unit(gene_vectors(names, organism=organism).vectors)
        cosines = vectors @ vectors.T
        group = np.repeat(np.arange(3), 5)
        pairs = list(combinations(range(15), 2))
        same = np.mean([cosines[j, i] for i, j in pairs if group[i] == group[j]])
        other = np.mean([cosines[j, i] for i, j in pairs if group[i] != group[j]])
        assert same > other + 0.1


def test_human_and_mouse_share_a_space():
    symbols = ["GFAP", "SNAP25", "MBP", "CD3E", "KDR", "COL1A1"]
    human = unit(gene_vectors(symbols, organism="human").vectors)
    mouse = unit(gene_vectors([s.capitalize() for s in symbols]).vectors)
    assert (np.argmax(human @ mouse.T, axis=1) == np.arange(len(symbols))).all()


def test_rows_follow_the_names(adata: AnnData):
    vectors, matched, report = gene_vectors(NAMES)
    assert matched.tolist() == [True] * 8 + [False]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[2], vectors[4])
    assert not vectors[8].any()
    assert report["organism"] == "human"
    assert (report["n_genes"], report["n_genes_matched"]) == (9, 8)
    of_adata = gene_vectors(adata)
    of_names = gene_vectors(adata.var_names.tolist())
    np.testing.assert_array_equal(of_adata.vectors, of_names.vectors)
    adata.var["ids"] = ["MBP"] * adata.n_vars
    assert (gene_vectors(adata, gene_symbols="ids").vectors == vectors[4]).all()


def test_an_encoder_reads_the_texts_of_the_genes_at_hand(minilm: Path):
    vectors, matched, report = gene_vectors(NAMES, model=minilm, cache=False)
    assert matched.tolist() == [True] * 8 + [False]
    encoder = get_encoder(minilm, cache=False)
    assert report["model"] == encoder.id
    rows = np.unique(match_genes(NAMES[:8], "human"))
    expected = standardize(encoder.encode(gene_texts(load_genes("human").iloc[rows]), progress=False))
    found = dict(zip(load_genes("human")["symbol"].iloc[rows], expected, strict=True))
    for name, symbol in [("GFAP", "GFAP"), ("ENSG00000197971", "MBP"), ("CD3D", "CD3D")]:
        np.testing.assert_allclose(vectors[NAMES.index(name)], found[symbol], atol=1e-5)

    own = pd.DataFrame({"text": ["astrocyte", "myelin", "T cell"]}, index=["GFAP", "MBP", "CD3E"])
    _, matched, _ = gene_vectors(NAMES, model=encoder, texts=own, template="{text}")
    assert matched.tolist() == [True, True, True, False, True, False, False, True, False]


def test_bundled_vectors_are_those_of_minilm(minilm: Path):
    """The shipped table, made by the build script, agrees with the model it names."""
    symbols = load_genes("human")["symbol"].iloc[::400].tolist()
    raw = gene_vectors(symbols, model=minilm, organism="human", cache=False).vectors
    shipped = standardize(gene_vectors(symbols, organism="human").vectors)  # centred over the same genes
    upper = np.triu_indices(len(symbols), 1)
    assert np.corrcoef((unit(raw) @ unit(raw).T)[upper], (unit(shipped) @ unit(shipped).T)[upper])[0, 1] > 0.9


def test_nothing_matched():
    with pytest.raises(ValueError, match=r"None of the 2 genes was found.*'FOO1'.*gene_symbols="):
        gene_vectors(["FOO1", "FOO2"])
    with pytest.raises(ValueError, match="organism='rat'"):
        gene_vectors(["Gfap"], organism="rat")
    with pytest.raises(TypeError, match="pooling"):
        gene_vectors(["GFAP"], pooling="last", organism="human")


def test_what_a_table_has_no_use_for_is_refused():
    texts = pd.DataFrame({"summary": ["glia"]}, index=["GFAP"])
    for model in ("bundled", {"GFAP": [1.0, 0.0], "MBP": [0.0, 1.0]}):
        with pytest.raises(TypeError, match=r"^texts, template, pooling: for a language model that reads"):
            gene_vectors(["GFAP", "MBP"], model=model, texts=texts, template="{summary}", pooling="mean")
    with pytest.raises(TypeError, match="^batch_size: .* an encoder that is ready has no use"):
        gene_vectors(["GFAP"], model=LetterEncoder(), batch_size=3)


def test_a_gene_without_a_text_has_no_vector():
    texts = pd.DataFrame({"summary": ["filament of glia", None, "myelin"]}, index=["GFAP", "AQP4", "MBP"])
    vectors, matched, report = gene_vectors(
        ["MBP", "AQP4", "GFAP", "MBP"], model=LetterEncoder(), texts=texts, template="{summary}", progress=False
    )
    assert matched.tolist() == [True, False, True, True]
    assert report["n_genes_matched"] == 3
    assert not vectors[1].any()
    np.testing.assert_array_equal(vectors[0], vectors[3])
    np.testing.assert_allclose(vectors[0], -vectors[2], atol=1e-6)
    with pytest.raises(ValueError, match=r"template='\{summary\}' makes no text for any gene"):
        gene_vectors(["AQP4"], model=LetterEncoder(), texts=texts, template="{summary}")
