"""NCBI's files, a few lines of each in their own format, from a server on loopback."""

from __future__ import annotations

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

import scsemst
from scsemst.datasets import _gene_info

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GENE_INFO = """\
#tax_id	GeneID	Symbol	LocusTag	Synonyms	dbXrefs	chromosome	map_location	description	type_of_gene	\
Symbol_from_nomenclature_authority	Full_name_from_nomenclature_authority	Nomenclature_status	Other_designations	\
Modification_date	Feature_type
9606	2670	GFAP	-	ALXDRD	MIM:137780|HGNC:HGNC:4235|Ensembl:ENSG00000131095|AllianceGenome:HGNC:4235	17	17q21.31	\
glial fibrillary acidic protein	protein-coding	GFAP	glial fibrillary acidic protein	O	intermediate filament "GFAP"	20260101	-
9606	378938	MALAT1	-	HCN|NEAT2	HGNC:HGNC:29665	11	11q13.1	metastasis associated lung adenocarcinoma transcript 1	\
ncRNA	MALAT1	-	O	-	20260101	-
741158	8923215	trnD	-	-	-	MT	-	tRNA-Asp	tRNA	-	-	-	-	20260101	-
"""
SUMMARY = """\
#tax_id	GeneID	Source	Summary
9606	2670	RefSeq	This gene encodes one of the major intermediate filament proteins of "mature" astrocytes.
"""


@pytest.fixture
def ncbi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    served = tmp_path / "served"
    for name, text in (("GENE_INFO/Mammalia/Homo_sapiens.gene_info.gz", GENE_INFO), ("gene_summary.gz", SUMMARY)):
        (served / name).parent.mkdir(parents=True, exist_ok=True)
        (served / name).write_bytes(gzip.compress(text.encode()))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(_gene_info, "BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(scsemst.settings, "cache_dir", tmp_path / "cache")
        yield served
        server.shutdown()


def test_reads_names_and_summaries_and_downloads_once(ncbi: Path):
    genes = scsemst.datasets.gene_info("human")
    assert genes.index.tolist() == ["GFAP", "MALAT1"]
    assert genes["symbol"].tolist() == ["GFAP", "MALAT1"]
    assert genes["ensembl"].tolist() == ["ENSG00000131095", ""]
    assert genes["aliases"].tolist() == ["ALXDRD", "HCN|NEAT2"]
    assert genes["summary"].tolist() == [SUMMARY.split("\t")[-1].strip(), ""]
    for file in ncbi.rglob("*.gz"):
        file.unlink()
    assert scsemst.datasets.gene_info("human").equals(genes)
    with pytest.raises(ConnectionError, match="put it into"):
        scsemst.datasets.gene_info("human", update=True)


def test_bad_input(ncbi: Path):
    with pytest.raises(ValueError, match="'fly' is not one of 'human', 'mouse'"):
        scsemst.datasets.gene_info("fly")
    (ncbi / "gene_summary.gz").write_bytes(gzip.compress(b"<html>moved</html>"))
    with pytest.raises(ValueError, match=r"is not the file of NCBI Gene.*update=True"):
        scsemst.datasets.gene_info("human")


def test_a_failed_update_keeps_the_old_file(ncbi: Path):
    genes = scsemst.datasets.gene_info("human")
    for file in ncbi.rglob("*.gz"):
        file.rename(file.with_suffix(".gone"))
    with pytest.raises(ConnectionError):
        scsemst.datasets.gene_info("human", update=True)
    assert scsemst.datasets.gene_info("human").equals(genes)
    for file in ncbi.rglob("*.gone"):
        file.rename(file.with_suffix(".gz"))
    assert scsemst.datasets.gene_info("human", update=True).equals(genes)
    assert sorted(file.name for file in (scsemst.settings.cache_dir / "ncbi").iterdir()) == [
        "Homo_sapiens.gene_info.gz",
        "gene_summary.gz",
    ]
