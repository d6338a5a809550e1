"""The gene vectors that ship with the package."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from scsemst._checks import require_in

from .genes import DATA, ORGANISMS, table_hash


@cache
def load_vectors(organism: str) -> np.ndarray:
    """Read the bundled gene vectors of an organism; once per process, and read-only.

    all-MiniLM-L6-v2 read each gene's `"symbol: full name. GO process terms"`. The vectors of human and mouse were
    centred together, rotated to common principal components, cut there and scaled to a root mean square length of 1
    (`scripts/build_gene_table.py`).

    Parameters
    ----------
    organism
        `"human"` or `"mouse"`.

    Returns
    -------
    `float32`, shape `(n_genes, d)`, in the order of :func:`~scsemst.language.genes.load_genes`.
    """
    require_in(organism, ORGANISMS, name="organism")
    with (DATA / "vectors.npz").open("rb") as file, np.load(file) as archive:
        vectors = archive[organism].astype(np.float32)
    vectors.setflags(write=False)
    return vectors


@cache
def bundled_hash(organism: str) -> str:
    """First 16 hex digits of the SHA-256 of an organism's gene table and of the vectors."""
    digest = hashlib.sha256(table_hash(organism).encode())
    digest.update((DATA / "vectors.npz").read_bytes())
    return digest.hexdigest()[:16]
