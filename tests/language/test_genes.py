from __future__ import annotations

import numpy as np
import pytest

import scsemst
from scsemst.language import detect_organism, load_genes, match_genes
from scsemst.language.genes import build_lookup, match_names

UNMATCHED = None

CASES = [
    # human: approved symbols, as written and in other cases
    ("human", "GFAP", "GFAP"),
    ("human", "gfap", "GFAP"),
    ("human", "Snap25", "SNAP25"),
    ("human", " MBP ", "MBP"),
    ("human", "C1orf112", "FIRRM"),
    ("human", "HLA-DRA", "HLA-DRA"),
    ("human", "NKX2-1", "NKX2-1"),
    ("human", "MT-CO1", "MT-CO1"),
    ("human", "mt-co1", "MT-CO1"),
    ("human", "IGKC", "IGKC"),
    ("human", "TRAC", "TRAC"),
    # Ensembl ids, with and without version, in any case
    ("human", "ENSG00000131095", "GFAP"),
    ("human", "ENSG00000131095.15", "GFAP"),
    ("human", "ensg00000132639", "SNAP25"),
    ("human", "ENSG00000141510.18", "TP53"),
    ("human", "ENSG00000211592.8", "IGKC"),
    ("human", "ENSG00000198804", "MT-CO1"),
    # previous symbols
    ("human", "SEPT4", "SEPTIN4"),
    ("human", "SEPT7", "SEPTIN7"),
    ("human", "MARCH1", "MARCHF1"),
    ("human", "CTGF", "CCN2"),
    ("human", "CYR61", "CCN1"),
    ("human", "FAM19A1", "TAFA1"),
    ("human", "HIST1H4C", "H4C3"),
    ("human", "GARS", "GARS1"),
    ("human", "WARS", "WARS1"),
    ("human", "TMEM173", "STING1"),
    ("human", "ATP5A1", "ATP5F1A"),
    ("human", "GPR56", "ADGRG1"),
    # aliases
    ("human", "p53", "TP53"),
    ("human", "CD20", "MS4A1"),
    ("human", "NeuN", "RBFOX3"),
    ("human", "IBA1", "AIF1"),
    ("human", "HER2", "ERBB2"),
    ("human", "vGLUT1", "SLC17A7"),
    # mouse: symbols, cases, ids, previous symbols, aliases
    ("mouse", "Gfap", "Gfap"),
    ("mouse", "GFAP", "Gfap"),
    ("mouse", "gfap", "Gfap"),
    ("mouse", "mt-Nd1", "mt-Nd1"),
    ("mouse", "MT-ND1", "mt-Nd1"),
    ("mouse", "H2-K1", "H2-K1"),
    ("mouse", "Igkc", "Igkc"),
    ("mouse", "ENSMUSG00000020932", "Gfap"),
    ("mouse", "ENSMUSG00000020932.15", "Gfap"),
    ("mouse", "ENSMUSG00000027273.14", "Snap25"),
    ("mouse", "Sept4", "Septin4"),
    ("mouse", "Ctgf", "Ccn2"),
    ("mouse", "March1", "Marchf1"),
    ("mouse", "Fam19a1", "Tafa1"),
    ("mouse", "Gpr56", "Adgrg1"),
    # clones, non-coding genes, dates made by spreadsheets, controls, other organisms: reported, never guessed
    ("human", "AL669831.5", UNMATCHED),
    ("human", "AC011043.1", UNMATCHED),
    ("human", "RP11-34P13.7", UNMATCHED),
    ("human", "CTD-2336O2.1", UNMATCHED),
    ("human", "MALAT1", UNMATCHED),
    ("human", "1-Mar", UNMATCHED),
    ("human", "BLANK_0001", UNMATCHED),
    ("human", "", UNMATCHED),
    ("human", "nan", UNMATCHED),
    ("human", "ENSMUSG00000020932", UNMATCHED),
    ("mouse", "ENSG00000131095", UNMATCHED),
    ("mouse", "Gm1992", UNMATCHED),
    # the same alias of several genes
    ("human", "p40", UNMATCHED),
    ("human", "STRA13", UNMATCHED),
]


@pytest.mark.parametrize(("organism", "name", "symbol"), CASES)
def test_a_name_finds_its_gene(organism: str, name: str, symbol: str | None):
    (row,) = match_genes([name], organism)
    assert (load_genes(organism)["symbol"].iat[row] if row >= 0 else UNMATCHED) == symbol


def test_every_approved_symbol_and_ensembl_id_finds_its_own_row():
    for organism in ("human", "mouse"):
        genes = load_genes(organism)
        assert genes["symbol"].is_unique
        np.testing.assert_array_equal(match_genes(genes["symbol"], organism), np.arange(len(genes)))
        ids = genes["ensembl"].str.split("|").str[0]
        has_id = np.flatnonzero(ids != "")
        np.testing.assert_array_equal(match_genes(ids.iloc[has_id] + ".3", organism), has_id)


def test_duplicates_all_match():
    gfap = match_genes(["GFAP"], "human")[0]
    assert (match_genes(["GFAP", "GFAP", "gfap", "ENSG00000131095"], "human") == gfap).all()


def test_names_made_unique_match_only_beside_their_original():
    matr3 = match_genes(["MATR3"], "human")[0]
    assert match_genes(["MATR3", "MATR3-1"], "human").tolist() == [matr3, matr3]
    assert match_genes(["MATR3-1"], "human").tolist() == [-1]
    nkx = match_genes(["NKX2-1"], "human")[0]
    assert match_genes(["NKX2", "NKX2-1"], "human")[1] == nkx, "a symbol of its own"


def test_a_shared_name_hides_later_tiers_and_is_not_guessed():
    exact, folded = build_lookup([[("A", 0), ("b", 1)], [("x", 0), ("X", 1), ("y", 1), ("A", 1)], [("x", 2), ("y", 0)]])
    assert match_names(["A", "a", "B", "y", "x", "X", "z"], exact, folded).tolist() == [0, 0, 1, 1, 0, 1, -1]
    assert match_names(["q"], *build_lookup([[("q", 0), ("q", 1)], [("q", 2)]])).tolist() == [-1]


def test_tables_hold_what_texts_need():
    for organism, n_genes in (("human", 19_000), ("mouse", 22_000)):
        genes = load_genes(organism)
        assert len(genes) > n_genes
        assert (genes["name"] != "").mean() > 0.9
        assert (genes["go"] != "").mean() > 0.8
        assert load_genes(organism) is genes, "read once"
    with pytest.raises(ValueError, match=r"organism='rat' is not one of 'human', 'mouse'"):
        load_genes("rat")


@pytest.mark.parametrize(
    ("names", "organism"),
    [
        (["GFAP", "SNAP25", "C1orf112", "AL669831.5"], "human"),
        (["ENSG00000131095.15", "ENSG00000132639"], "human"),
        (["Gfap", "mt-Nd1", "1110004F10Rik", "H2-K1"], "mouse"),
        (["ENSMUSG00000020932.3", "ENSMUSG00000027273"], "mouse"),
    ],
)
def test_organism_is_told_from_names(names: list[str], organism: str):
    assert detect_organism(names) == organism


@pytest.mark.parametrize("names", [["gene_1", "gene_2"], ["0", "1"], ["ENSDARG00000025301"], ["gfap", "snap25"], []])
def test_unknown_organism_asks_for_it(names: list[str]):
    with pytest.raises(ValueError, match="organism="):
        detect_organism(names)


def test_coverage_of_the_demo_slice():
    adata = scsemst.datasets.dlpfc()
    assert detect_organism(adata.var_names) == "human"
    rows = match_genes(adata.var_names, "human")
    counts = np.asarray(adata.X.sum(axis=0)).ravel()
    assert (rows >= 0).mean() > 0.95
    assert counts[rows >= 0].sum() / counts.sum() > 0.97


@pytest.mark.parametrize(
    "control", ["BLANK-{}", "Blank-{}", "NegPrb{}", "NegControlProbe_{:05}", "SystemControl{}", "Unassigned{}"]
)
def test_controls_are_of_no_organism(control: str):
    controls = [control.format(i) for i in range(60)]
    assert detect_organism(["Gfap", "Snap25", "mt-Nd1", "Negr1", *controls]) == "mouse"
    assert detect_organism(["GFAP", "SNAP25", "MT-ND1", "NEGR1", *controls]) == "human"
    with pytest.raises(ValueError, match="cannot be told"):
        detect_organism([f"{i}" for i in range(5)] + controls)


def test_versions_after_an_underscore():
    assert detect_organism(["ENSG00000131095_7", "ENSG00000132639_11"]) == "human"
    assert detect_organism(["ENSMUSG00000020932_7"]) == "mouse"
