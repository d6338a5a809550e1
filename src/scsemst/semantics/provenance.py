"""Whether two sets of spot vectors were made alike, by what `uns` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["difference"]


def difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the first thing that tells two records apart, and what each says; nothing if they agree.

    What one of them does not say is not compared, and tables of genes are compared within an organism only.

    Examples
    --------
    >>> from scsemst.semantics.provenance import difference
    >>> difference({"model": "bundled"}, {"model": "table"})
    ('model', 'bundled', 'table')
    """
    fields = ["model", "encoder"]
    if found.get("organism") == expected.get("organism"):
        fields.append("table_hash")
    for field in fields:
        if field in found and field in expected and found[field] != expected[field]:
            return field, found[field], expected[field]
    here, there = (record.get("params", {}) for record in (found, expected))
    for field in ("template", "preset", "n_top_genes"):
        if field in here and field in there and here[field] != there[field]:
            return field, here[field], there[field]
    return None
