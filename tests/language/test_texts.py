from __future__ import annotations

import pandas as pd
import pytest

from scsemst.language import gene_texts, load_genes

TABLE = pd.DataFrame(
    {"symbol": ["A", "B", "C", "D"], "name": ["alpha", "", None, "delta, 2"], "go": ["x; y", "z", "", ""]}
)


def test_default_template_leaves_no_trace_of_empty_fields():
    assert gene_texts(TABLE) == ["A: alpha. x; y", "B: z", "C", "D: delta, 2"]


def test_own_template_and_columns():
    texts = gene_texts(TABLE.assign(summary="Said of {it}."), template="{symbol} ({name}) {summary}")
    assert texts[0] == "A (alpha) Said of {it}"


def test_bundled_texts_are_all_there_and_distinct():
    for organism in ("human", "mouse"):
        texts = gene_texts(load_genes(organism))
        assert all(texts)
        assert len(set(texts)) == len(texts)


def test_bad_templates():
    with pytest.raises(ValueError, match="names no column"):
        gene_texts(TABLE, template="gene")
    with pytest.raises(KeyError, match=r"\{summary\}.*'symbol'"):
        gene_texts(TABLE, template="{summary}")
