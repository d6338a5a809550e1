"""Build the gene table and the gene vectors that ship with scsemst (see scripts/README.md)."""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import re
from collections import Counter, defaultdict
from pathlib import Path

import gene_sources as src
import numpy as np
import pandas as pd

DATA = Path(__file__).parents[1] / "src/scsemst/language/data"
ORGANISMS = ("human", "mouse")
MAX_TERMS = 8
"""GO terms kept per gene; marker AUC grows up to eight terms and no further (scripts/README.md)."""
MAX_TOKENS = 128
DIMENSION = 120
"""Marker AUC no longer grows; more components keep more of each gene's neighbours, and 120 is what 11.5 MB hold."""
SHARED_BY_MANY = 500
"""Process terms of more genes than this ("signal transduction") come after all others."""

# Names of clones, not of genes: they are reported as unmatched, never guessed.
CLONE = re.compile(r"([A-Z]{1,2}\d{5,6}\.\d+|(RP|CT[ABCD]|KB|LL|XX|GS)[A-Z]*\d*-\S+\.\d+)$", re.IGNORECASE)


def main() -> None:
    """Build the table, the vectors, or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, default=Path("/tmp/scsemst-gene-sources"), help="download folder")
    parser.add_argument("--output", type=Path, default=DATA)
    parser.add_argument("--stage", choices=["table", "vectors", "all"], default="all")
    parser.add_argument("--dimension", type=int, default=DIMENSION)
    args = parser.parse_args()
    src.fetch(args.sources)
    args.output.mkdir(parents=True, exist_ok=True)
    if args.stage != "vectors":
        write_tables({organism: gene_table(args.sources, organism) for organism in ORGANISMS}, args)
    if args.stage != "table":
        write_vectors(args)


# Table -----------------------------------------------------------------------------------------------------------


def gene_table(folder: Path, organism: str) -> pd.DataFrame:
    """Coding genes with name, Ensembl ids, previous symbols, aliases and lists of GO ids."""
    genes = src.genes(folder, organism)
    add = _add_human if organism == "human" else _add_mouse
    genes = add(folder, genes)
    genes = _unique_names(genes)
    genes["go"] = process_terms(folder, genes, organism)
    coding = genes[genes["coding"]].sort_values("symbol", kind="stable").reset_index(drop=True)
    return coding[["symbol", "name", "ensembl", "previous", "aliases", "go"]]


def _add_human(folder: Path, genes: pd.DataFrame) -> pd.DataFrame:
    hgnc = src.hgnc(folder)
    ncbi = src.ncbi_human(folder)
    older = hgnc.reindex(genes["id"]).fillna("").reset_index(drop=True)
    entrez_of_symbol = dict(zip(ncbi["symbol"], ncbi.index, strict=True))
    entrez = older["entrez_id"].where(older["entrez_id"] != "", genes["symbol"].map(entrez_of_symbol))
    ncbi = ncbi.reindex(entrez).reset_index(drop=True)
    genes["name"] = older["name"].where(older["name"] != "", ncbi["name"]).fillna("")
    genes["previous"] = _joined(genes["previous"], older["prev_symbol"].str.split("|"))
    genes["aliases"] = _joined(genes["aliases"], older["alias_symbol"].str.split("|"), ncbi["aliases"])
    genes["ensembl"] = _joined(genes["ensembl"], older["ensembl_gene_id"].map(lambda e: [e]), ncbi["ensembl"])
    genes["direct"] = _joined(ncbi["go"])
    return _add_reference_names(folder, genes, "human")


def _add_mouse(folder: Path, genes: pd.DataFrame) -> pd.DataFrame:
    ncbi = src.ncbi_mouse(folder)
    entrez = genes["id"].map(src.mouse_entrez(folder))
    # MGI's homology report covers genes with a human counterpart: the rest by symbol, then by a single alias.
    entrez_of_symbol = dict(zip(ncbi["symbol"], ncbi.index, strict=True))
    entrez = entrez.fillna(genes["symbol"].map(entrez_of_symbol))
    for row in genes.index[entrez.isna() & genes["coding"]]:
        found = {entrez_of_symbol[alias] for alias in genes["aliases"][row] if alias in entrez_of_symbol}
        if len(found) == 1:
            entrez[row] = found.pop()
    ncbi = ncbi.reindex(entrez).reset_index(drop=True)
    genes["name"] = ncbi["name"].fillna(genes["id"].map(_human_names(folder))).fillna("")
    genes["previous"] = _joined(genes["previous"], ncbi["symbol"].map(lambda s: [s], na_action="ignore"))
    genes["aliases"] = _joined(genes["aliases"], ncbi["aliases"])
    genes["direct"] = [[] for _ in range(len(genes))]
    return _add_reference_names(folder, genes, "mouse")


def _joined(*columns: pd.Series) -> list[list[str]]:
    """Join columns of lists row by row; a missing list is empty."""
    rows = zip(*columns, strict=True)
    return [[value for found in row if isinstance(found, list) for value in found if value] for row in rows]


def _human_names(folder: Path) -> dict[str, str]:
    """Full name of the human counterpart of each MGI id."""
    hgnc = src.hgnc(folder)
    return {mgi: name for joined, name in zip(hgnc["mgd_id"], hgnc["name"], strict=True) for mgi in joined.split("|")}


def _add_reference_names(folder: Path, genes: pd.DataFrame, organism: str) -> pd.DataFrame:
    """Add the symbols that reference annotations give to the same Ensembl id, and their ids for the same symbol."""
    reference = src.reference_names(folder, organism)
    row_of_id = {ensembl: row for row, found in enumerate(genes["ensembl"]) for ensembl in found if ensembl}
    row_of_symbol = dict(zip(genes["symbol"], range(len(genes)), strict=True))
    for ensembl, symbol in zip(reference["gene_id"], reference["gene_name"], strict=True):
        ensembl = ensembl.split(".")[0]
        if ensembl in row_of_id:
            genes["previous"].iloc[row_of_id[ensembl]].append(symbol)
        elif symbol in row_of_symbol:
            genes["ensembl"].iloc[row_of_symbol[symbol]].append(ensembl)
    return genes


def _unique_names(genes: pd.DataFrame) -> pd.DataFrame:
    """Keep, in upper case's eyes, only names that mean one gene; an approved symbol beats a previous one, then aliases."""
    taken = {symbol.upper() for symbol in genes["symbol"]}
    for column in ("previous", "aliases"):
        owners = defaultdict(set)
        for row, names in enumerate(genes[column]):
            for name in names:
                owners[name.upper()].add(row)
        kept = []
        for names in genes[column]:
            # Sorted so that of two spellings of one name the same is kept at every build.
            good = {
                name.upper(): name
                for name in sorted(filter(_is_name, names), reverse=True)
                if name.upper() not in taken and len(owners[name.upper()]) == 1
            }
            kept.append(sorted(good.values()))
        genes[column] = kept
        taken |= set(owners)
    owners = Counter(ensembl for found in genes["ensembl"] for ensembl in set(found))
    genes["ensembl"] = [
        sorted({e for e in found if e and owners[e] == 1}, key=lambda e, first=found[:1]: ([e] != first, e))
        for found in genes["ensembl"]
    ]
    return genes


def _is_name(name: str) -> bool:
    return 1 < len(name) <= 30 and not re.search(r"[\s,;|\"]", name) and not CLONE.match(name)


# Process terms ---------------------------------------------------------------------------------------------------


def process_terms(folder: Path, genes: pd.DataFrame, organism: str) -> list[list[str]]:
    """GO ids of each gene: no term that another of the gene's terms implies, the most specific first."""
    _, descendants = src.go_ontology(folder)
    sets, _ = src.go_sets(folder, organism)
    size = {go_id: len(symbols) for go_id, symbols in sets.items()}
    of_symbol = defaultdict(set)
    for go_id, symbols in sets.items():
        for symbol in symbols:
            of_symbol[symbol].add(go_id)
    result = []
    columns = zip(genes["symbol"], genes["previous"], genes["aliases"], genes["direct"], strict=True)
    for symbol, previous, aliases, direct in columns:
        found = set(direct)
        if not found:
            known = next((name for name in [symbol, *previous, *aliases] if name in of_symbol), None)
            found = of_symbol.get(known, set())
        found = found - {src.ROOT_TERM}
        leaves = [go_id for go_id in found if not descendants.get(go_id, set()) & found]
        result.append(sorted(leaves, key=lambda g: (size.get(g, 1) > SHARED_BY_MANY, size.get(g, 1), g))[:MAX_TERMS])
    return result


# Files -----------------------------------------------------------------------------------------------------------


def write_tables(tables: dict[str, pd.DataFrame], args: argparse.Namespace) -> None:
    """Write one table per organism, GO ids as row numbers of `go_terms.csv.gz`."""
    _, human_terms = src.go_sets(args.sources, "human")
    _, mouse_terms = src.go_sets(args.sources, "mouse")
    ontology, _ = src.go_ontology(args.sources)
    terms = ontology | mouse_terms | human_terms
    used = Counter(go_id for table in tables.values() for found in table["go"] for go_id in found)
    # Frequent terms first: short codes compress better.
    ids = sorted(used, key=lambda go_id: (-used[go_id], go_id))
    code = {go_id: str(i) for i, go_id in enumerate(ids)}
    _write_csv(args.output / "go_terms.csv.gz", pd.DataFrame({"id": ids, "term": [terms[i] for i in ids]}))
    for organism, table in tables.items():
        joined = table.assign(
            **{column: table[column].map("|".join) for column in ("ensembl", "previous", "aliases")},
            go=table["go"].map(lambda found: " ".join(code[go_id] for go_id in found)),
        )
        _write_csv(args.output / f"genes_{organism}.csv.gz", joined)
        print(organism, len(table), "genes;", (table["name"] == "").sum(), "without name;", end=" ")
        print((table["go"].map(len) == 0).sum(), "without process terms")


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(text)
    path.write_bytes(buffer.getvalue())


def write_vectors(args: argparse.Namespace) -> None:
    """Embed the texts of both organisms, centre them together, reduce them and write half precision."""
    from scsemst.language.genes import load_genes
    from scsemst.language.texts import gene_texts

    raw = [embed(gene_texts(load_genes(organism)), args) for organism in ORGANISMS]
    split = len(raw[0])
    raw = np.concatenate(raw)
    vectors, explained = reduce(raw, args.dimension)
    print(f"{args.dimension} components keep {explained:.1%} of the variance")
    np.savez_compressed(
        args.output / "vectors.npz",
        human=vectors[:split].astype(np.float16),
        mouse=vectors[split:].astype(np.float16),
    )


def embed(texts: list[str], args: argparse.Namespace) -> np.ndarray:
    """Unit-length, attention-masked mean of all-MiniLM-L6-v2's last hidden states; kept in `--sources`."""
    key = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    path = args.sources / f"embeddings-{key}.npy"
    if not path.exists():
        np.save(path, encode(texts, src.model_folder(args.sources)))
    return np.load(path)


def encode(texts: list[str], folder: Path, *, batch_size: int = 64) -> np.ndarray:
    """Embed texts with the model in `folder`, the longest first so that a batch holds texts of one length."""
    import torch
    from tqdm.auto import tqdm
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    length = [len(ids) for ids in tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]]
    order = np.argsort(length, kind="stable")[::-1]
    vectors = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(texts), batch_size), unit="batch"):
            rows = order[start : start + batch_size]
            batch = tokenizer(
                [texts[row] for row in rows], truncation=True, max_length=MAX_TOKENS, padding=True, return_tensors="pt"
            )
            hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            vectors[rows] = torch.nn.functional.normalize(mean).numpy()
    return vectors


def reduce(raw: np.ndarray, dimension: int) -> tuple[np.ndarray, float]:
    """Centre, keep the first principal components (largest loading positive), scale to unit root mean square length."""
    centred = raw.astype(np.float64) - raw.mean(axis=0, dtype=np.float64)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    variance, axes = variance[::-1], axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    vectors = centred @ axes[:, :dimension]
    vectors /= np.sqrt((vectors**2).sum(axis=1).mean())
    return vectors, float(variance[:dimension].sum() / variance.sum())


if __name__ == "__main__":
    main()
