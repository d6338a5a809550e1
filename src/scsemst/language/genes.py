"""The bundled gene table: names, synonyms, Ensembl ids and process terms; and how names find their gene."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scsemst._checks import require_in

if TYPE_CHECKING:
    from collections.abc import Iterable

ORGANISMS = ("human", "mouse")
"""Organisms of the bundled table."""

DATA = files("scsemst.language") / "data"

VERSION = re.compile(r"(ENS[A-Z]*G\d{11})[._]\d+$", re.IGNORECASE)
_MISSING = frozenset({"", "nan", "none", "<na>"})  # "NaN" is also an alias of SCN11A, but hardly ever means it
_MADE_UNIQUE = re.compile(r"(.+)-\d+$")


@cache
def load_genes(organism: str) -> pd.DataFrame:
    """Read the bundled gene table of an organism; once per process, so do not change it.

    Parameters
    ----------
    organism
        `"human"` or `"mouse"`.

    Returns
    -------
    One row per gene that codes for a protein (immunoglobulin and T-cell receptor segments included), with the
    columns `symbol`, `name`, `ensembl`, `previous`, `aliases` (the last three joined by `|`) and `go`, the names of
    GO process terms, the most specific first, joined by `"; "`.
    """
    require_in(organism, ORGANISMS, name="organism")
    table = pd.read_csv(DATA / f"genes_{organism}.csv.gz", dtype=str, keep_default_na=False)
    terms = pd.read_csv(DATA / "go_terms.csv.gz", dtype=str, keep_default_na=False)["term"].tolist()
    table["go"] = ["; ".join(terms[int(code)] for code in codes.split()) for codes in table["go"]]
    return table


@cache
def table_hash(organism: str) -> str:
    """First 16 hex digits of the SHA-256 of an organism's gene table."""
    digest = hashlib.sha256()
    for name in (f"genes_{organism}.csv.gz", "go_terms.csv.gz"):
        digest.update((DATA / name).read_bytes())
    return digest.hexdigest()[:16]


def match_genes(names: Iterable[str], organism: str) -> np.ndarray:
    """Find each name's row in the bundled gene table.

    A name is, in this order, an Ensembl id (a version suffix is ignored), an approved symbol, a previous symbol or an
    alias, as written, then in any case. Names that mean several genes are not guessed, and clones such as
    `AL669831.5` have no row. `GENE-1`, as `var_names_make_unique` writes the second `GENE`, is taken for `GENE` if that
    is among the names and nothing is called `GENE-1`.

    Parameters
    ----------
    names
        Gene symbols or Ensembl ids, also mixed; may repeat.
    organism
        `"human"` or `"mouse"`.

    Returns
    -------
    Rows of :func:`load_genes`, −1 where nothing matches; `int64`, one per name.
    """
    exact, folded = _lookup(organism)
    return match_names(names, exact, folded)


def match_names(names: Iterable[str], exact: dict[str, int], folded: dict[str, int]) -> np.ndarray:
    """Find names in a lookup made by :func:`build_lookup`, −1 where nothing matches."""
    names = [str(name).strip() for name in names]
    present = set(names)

    def find(name: str) -> int:
        if name.lower() in _MISSING:
            return -1
        name = VERSION.sub(r"\1", name)
        row = exact.get(name, -1)
        return folded.get(name.upper(), -1) if row < 0 else row

    rows = np.empty(len(names), dtype=np.int64)
    for i, name in enumerate(names):
        rows[i] = find(name)
        if rows[i] < 0 and (made := _MADE_UNIQUE.match(name)) and made[1] in present:
            rows[i] = find(made[1])
    return rows


def build_lookup(tiers: Iterable[Iterable[tuple[str, int]]]) -> tuple[dict[str, int], dict[str, int]]:
    """Index pairs of name and row, as written and in upper case.

    A name of an earlier tier hides the same name in later ones; a name that several rows of one tier share is left out
    and hides later ones too.
    """
    exact: dict[str, int] = {}
    folded: dict[str, int] = {}
    for tier in tiers:
        pairs = list(tier)
        for lookup, fold in ((exact, False), (folded, True)):
            found: dict[str, int] = {}
            for name, row in pairs:
                key = name.upper() if fold else name
                found[key] = row if found.get(key, row) == row else -1
            lookup.update({key: row for key, row in found.items() if key not in lookup})
    return exact, folded


@cache
def _lookup(organism: str) -> tuple[dict[str, int], dict[str, int]]:
    table = load_genes(organism)

    def pairs(column: str) -> list[tuple[str, int]]:
        return [(name, row) for row, joined in enumerate(table[column]) for name in joined.split("|") if name]

    return build_lookup(pairs(column) for column in ("ensembl", "symbol", "previous", "aliases"))
