"""From text to gene vectors: gene names, texts, encoders, tables, cache."""

from __future__ import annotations

from .bundled import load_vectors
from .genes import load_genes, match_genes
from .organism import detect_organism
from .texts import gene_texts
from .vectors import GeneVectors, gene_vectors

__all__ = [
    "GeneVectors",
    "detect_organism",
    "gene_texts",
    "gene_vectors",
    "load_genes",
    "load_vectors",
    "match_genes",
]
