"""Texts that describe genes to a language model."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

from scsemst._checks import available

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_TEMPLATE = "{symbol}: {name}. {go}"
"""The template of the bundled vectors."""


def gene_texts(table: pd.DataFrame, *, template: str = DEFAULT_TEMPLATE) -> list[str]:
    """Fill a template with each gene's columns.

    Parameters
    ----------
    table
        One row per gene, with the columns that the template names; missing values count as empty.
    template
        Text with the names of columns in braces. Punctuation and spaces around empty fields are dropped.

    Returns
    -------
    One text per row.

    Raises
    ------
    ValueError
        If the template names no column.
    KeyError
        If the template names a column that `table` does not have.

    Examples
    --------
    >>> from scsemst.language.genes import load_genes
    >>> from scsemst.language.texts import gene_texts
    >>> genes = load_genes("human").query("symbol == 'GFAP'")
    >>> gene_texts(genes, template="{symbol}, {name}")
    ['GFAP, glial fibrillary acidic protein']
    """
    fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    if not fields:
        raise ValueError(f"template={template!r} names no column. Put one in braces, as in {DEFAULT_TEMPLATE!r}.")
    for field in fields:
        if field not in table.columns:
            raise KeyError(f"template names {{{field}}}, which is no column (available: {available(table.columns)}).")
    columns = [table[field].fillna("").astype(str).str.strip() for field in fields]
    return [_tidy(template.format(**dict(zip(fields, row, strict=True)))) for row in zip(*columns, strict=True)]


def _tidy(text: str) -> str:
    """Drop the separators that empty fields leave behind: `"A: . "` becomes `"A"`, `"A: . b"` becomes `"A: b"`."""
    text = re.sub(r"([:;,.])(\s*[:;,.])+(?=\s|$)", r"\1", text)
    return re.sub(r"\s+", " ", text).strip(" :;,").removesuffix(".") if text else text
