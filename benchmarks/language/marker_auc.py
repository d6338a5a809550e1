"""Do vectors of marker genes tell which genes mark the same cell type?

The AUC of the cosine between centred gene vectors for pairs of one cell type against pairs of two, over the 96 genes
of `markers.py`. Bare symbols, which hold no meaning beyond what the model remembers of them, are the control.

    python benchmarks/language/marker_auc.py --minilm FOLDER --smollm2 FOLDER
"""

from __future__ import annotations

import argparse
from itertools import chain

import numpy as np
from markers import MARKERS
from sklearn.metrics import roc_auc_score

from scsemst.language import gene_texts, load_genes, load_vectors, match_genes
from scsemst.language.encoders import get_encoder

TEMPLATES = {"symbol": "{symbol}", "symbol: name": "{symbol}: {name}", "symbol: name. GO": "{symbol}: {name}. {go}"}
N_BACKGROUND = 400
"""Random genes that the centre is taken over, together with the markers, where not all genes are embedded."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--smollm2", help="folder of SmolLM2-135M-Instruct")
    args = parser.parse_args()
    symbols = list(chain.from_iterable(MARKERS.values()))
    print("| vectors | dimension | same-type AUC |\n|---|---|---|")
    for organism in ("human", "mouse"):
        rows = match_genes(symbols, organism)
        if (rows < 0).any():
            known = rows >= 0
            print(f"<!-- not in {organism}: {[s for s, k in zip(symbols, known, strict=True) if not k]} -->")
        vectors = load_vectors(organism)
        for dimension in sorted({16, 32, 64, vectors.shape[1]}):
            report(f"bundled, {organism}", vectors[:, :dimension], rows)
    genes = load_genes("human")
    rows = match_genes(symbols, "human")
    background = np.random.default_rng(0).choice(len(genes), N_BACKGROUND, replace=False)
    some = genes.iloc[np.concatenate([rows, background])]
    for name, folder in (("MiniLM", args.minilm), ("SmolLM2-135M", args.smollm2)):
        for label, template in TEMPLATES.items() if folder else ():
            vectors = get_encoder(folder).encode(gene_texts(some, template=template), progress=False)
            report(f"{name}, {label}", vectors - vectors.mean(axis=0), np.arange(len(symbols)))


def report(name: str, vectors: np.ndarray, rows: np.ndarray) -> None:
    """Print one line of the table; genes that the organism lacks are left out."""
    types = np.repeat(np.arange(len(MARKERS)), [len(genes) for genes in MARKERS.values()])[rows >= 0]
    unit = vectors[rows[rows >= 0]]
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    i, j = np.triu_indices(len(unit), 1)
    auc = roc_auc_score(types[i] == types[j], (unit @ unit.T)[i, j])
    print(f"| {name} | {vectors.shape[1]} | {auc:.2f} |", flush=True)


if __name__ == "__main__":
    main()
