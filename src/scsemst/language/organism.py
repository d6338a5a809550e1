"""Tell human from mouse by the look of gene names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scsemst._checks import available

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATTERNS = {
    # HGNC writes symbols in capitals, open reading frames apart.
    "human": re.compile(r"(ENSG\d{11}([._]\d+)?|C(\d+|X|Y)orf\d+[A-Z\d-]*|(?!ENS[A-Z]*G\d{11})[A-Z][A-Z\d.-]*[A-Z\d])"),
    # MGI capitalises the first letter only; the mitochondrial genes begin with "mt-", RIKEN clones with digits.
    "mouse": re.compile(r"(ENSMUSG\d{11}([._]\d+)?|(mt-)?[A-Z][a-z\d.-]*[a-z][A-Za-z\d.-]*|[A-Z\d]{10}Rik)"),
}
# Names of probes that measure no gene, as instruments write them: they follow no organism's way
_CONTROL = re.compile(
    r"(blank|neg(ative)?[ _-]?(control|prb|probe)|system[ _-]?control|false[ _-]?code|antisense_|unassigned|deprecated"
    r"|intergenic_?region|ercc-\d).*",
    re.IGNORECASE,
)
_MIN_SHARE = 0.5


def detect_organism(names: Iterable[str]) -> str:
    """Return the organism whose way of writing genes most names follow.

    Parameters
    ----------
    names
        Gene symbols or Ensembl ids.

    Returns
    -------
    `"human"` or `"mouse"`.

    Raises
    ------
    ValueError
        If fewer than half of the names look like either.

    Examples
    --------
    >>> from scsemst.language.organism import detect_organism
    >>> detect_organism(["Gfap", "Snap25", "mt-Nd1"])
    'mouse'
    """
    every = [str(name) for name in names]
    names = [name for name in every if not _CONTROL.fullmatch(name)] or every
    votes = {
        organism: sum(pattern.fullmatch(name) is not None for name in names) for organism, pattern in _PATTERNS.items()
    }
    best = max(votes, key=votes.__getitem__)
    if votes[best] <= _MIN_SHARE * len(names):
        raise ValueError(
            f"The organism cannot be told from the gene names (the first are {available(names[:3])}). Pass "
            "organism='human' or organism='mouse', or gene_symbols= to name the column of adata.var with symbols or "
            "Ensembl ids."
        )
    return best
