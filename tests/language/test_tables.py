from __future__ import annotations

import pickle
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scsemst.language import gene_vectors, load_genes, load_vectors, match_genes
from scsemst.language.tables import is_table, match_keys, read_table

SYMBOLS = ["GFAP", "SNAP25", "MBP", "CCN2", "TP53"]
NAMES = ["gfap", "SNAP25", "ENSG00000197971.16", "CTGF", "AL669831.5"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Real vectors of five genes, by symbol."""
    vectors = load_vectors("human")[match_genes(SYMBOLS, "human")]
    return pd.DataFrame(vectors, index=SYMBOLS, columns=[f"d{i}" for i in range(vectors.shape[1])])


def write(frame: pd.DataFrame, suffix: str, folder: Path) -> Path:
    path = folder / f"genes{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix in (".csv", ".csv.gz"):
        frame.to_csv(path)
    elif suffix == ".tsv":
        frame.to_csv(path, sep="\t")
    elif suffix == ".npz":
        np.savez(path, genes=np.array(frame.index, dtype=str), embeddings=frame.to_numpy())
    elif suffix == "-per-gene.npz":
        np.savez(path, **{name: row.to_numpy() for name, row in frame.iterrows()})
    elif suffix == ".h5ad":
        ad.AnnData(frame.to_numpy(), obs=pd.DataFrame(index=frame.index)).write_h5ad(path)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz", ".tsv", ".npz", "-per-gene.npz", ".h5ad"])
def test_files_give_back_the_vectors(frame: pd.DataFrame, suffix: str, tmp_path: Path):
    path = write(frame, suffix, tmp_path)
    assert is_table(path)
    assert is_table(str(path))
    table = read_table(path)
    assert table.names == SYMBOLS
    np.testing.assert_allclose(table.vectors, frame.to_numpy(), rtol=1e-6)
    assert table.vectors.dtype == np.float32


def test_dict_and_frame_are_one_table(frame: pd.DataFrame):
    of_dict = read_table({name: row.to_list() for name, row in frame.iterrows()})
    of_frame = read_table(frame)
    of_columns = read_table(frame.rename_axis("gene").reset_index())
    assert of_dict.names == of_frame.names == of_columns.names
    assert of_dict.id == of_frame.id == of_columns.id


@pytest.mark.parametrize("keys", ["symbol", "ensembl", "lower"])
def test_symbols_and_ensembl_ids_find_each_other(frame: pd.DataFrame, keys: str):
    genes = load_genes("human").set_index("symbol")
    index = {
        "symbol": SYMBOLS,
        "ensembl": [genes.at[symbol, "ensembl"].split("|")[0] + ".7" for symbol in SYMBOLS],
        "lower": [symbol.lower() for symbol in SYMBOLS],
    }[keys]
    assert match_keys(NAMES, index, "human").tolist() == [0, 1, 2, 3, -1]
    vectors, matched, report = gene_vectors(NAMES, model=frame.set_axis(index))
    assert matched.tolist() == [True, True, True, True, False]
    centred = frame.to_numpy() - frame.to_numpy().mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=1).mean())
    np.testing.assert_allclose(vectors[:4], centred[:4], atol=1e-5)
    assert not vectors[4].any()
    assert report["n_genes_matched"] == 4


def test_a_table_of_an_unknown_organism_is_matched_by_its_own_names():
    vectors, matched, report = gene_vectors(["gene_1", "GENE_2", "x"], model={"gene_1": [1.0, 0], "gene_2": [0, 1.0]})
    assert matched.tolist() == [True, True, False]
    assert vectors.shape == (3, 2)
    assert "organism" not in report


@pytest.mark.parametrize("suffix", [".pkl", ".pickle"])
def test_pickle_only_when_allowed(frame: pd.DataFrame, suffix: str, tmp_path: Path):
    path = tmp_path / f"GenePT{suffix}"
    path.write_bytes(pickle.dumps({name: row.to_list() for name, row in frame.iterrows()}))
    with pytest.raises(ValueError, match=r"can run any code.*allow_pickle=True"):
        gene_vectors(NAMES, model=path)
    _, matched, _ = gene_vectors(NAMES, model=path, allow_pickle=True)
    assert matched.sum() == 4


def test_bad_tables(frame: pd.DataFrame, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"missing\.csv"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(ValueError, match="one length"):
        read_table({"GFAP": [1.0, 2.0], "MBP": [1.0]})
    with pytest.raises(ValueError, match="not numbers: name"):
        read_table(frame.assign(name="x"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        read_table(frame.mask(np.eye(*frame.shape, dtype=bool)))
    with pytest.raises(ValueError, match="holds no vectors"):
        read_table(frame.iloc[:0])
    np.savez(tmp_path / "objects.npz", names=np.array(SYMBOLS, dtype=object), vectors=frame.to_numpy())
    with pytest.raises(ValueError, match="names.astype"):
        read_table(tmp_path / "objects.npz")
    np.savez(tmp_path / "short.npz", names=np.array(SYMBOLS[:3]), vectors=frame.to_numpy())
    with pytest.raises(ValueError, match="3 names but 5 vectors"):
        read_table(tmp_path / "short.npz")
    with pytest.raises(TypeError, match="pooling"):
        gene_vectors(NAMES, model=frame, pooling="last")


def test_frames_of_any_make(frame: pd.DataFrame):
    nullable = frame.astype("Float32")
    np.testing.assert_allclose(read_table(nullable).vectors, frame.to_numpy(), rtol=1e-6)
    nullable.iloc[0, 0] = pd.NA
    with pytest.raises(ValueError, match="NaN or infinite"):
        read_table(nullable)
    with pytest.raises(ValueError, match="columns that are not numbers"):
        read_table(frame.astype(complex))
    named = frame.rename_axis("gene").reset_index()
    assert read_table(named[named["gene"] != SYMBOLS[0]]).names == SYMBOLS[1:], "rows were chosen, numbers kept"


def test_genes_listed_twice_are_told(frame: pd.DataFrame):
    twice = pd.concat([frame, frame.iloc[:1]])
    with pytest.warns(UserWarning, match=f"several vectors for 1 genes \\({SYMBOLS[0]}\\): none of them is used"):
        found = gene_vectors(SYMBOLS, model=twice, organism="human")
    assert found.matched.tolist() == [False, *[True] * (len(SYMBOLS) - 1)]


def test_csv_files_lose_no_gene(frame: pd.DataFrame, tmp_path: Path):
    frame.to_csv(tmp_path / "bare.csv", header=False)
    with pytest.raises(ValueError, match=r"bare\.csv has no header: its first line, 'GFAP', would be lost"):
        read_table(tmp_path / "bare.csv")
    frame.set_axis(range(frame.shape[1]), axis=1).to_csv(tmp_path / "numbered.csv")
    frame.rename_axis("gene").reset_index().to_csv(tmp_path / "running.csv")
    for name in ("numbered.csv", "running.csv"):
        table = read_table(tmp_path / name)
        assert table.names == SYMBOLS
        np.testing.assert_allclose(table.vectors, frame.to_numpy(), rtol=1e-6)
    frame.set_axis([2670, 4155, 6616, 5816, 6750]).to_csv(tmp_path / "entrez.csv")
    with pytest.raises(ValueError, match="no column of gene names, only numbers"):
        read_table(tmp_path / "entrez.csv")


def test_files_of_other_kinds_are_not_looked_up_on_a_hub(tmp_path: Path):
    (tmp_path / "genes.txt").write_text("GFAP 1 2")
    with pytest.raises(ValueError, match=r"is a file of another kind than \.gguf\. Tables of gene vectors end in"):
        gene_vectors(["GFAP"], model=tmp_path / "genes.txt")
