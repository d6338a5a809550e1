"""Mistakes are named, nothing is left behind, and nobody waits for it."""

from __future__ import annotations

import re
import time
import warnings
from typing import TYPE_CHECKING

import pytest

from .bad_inputs import CASES, VALID, Case, Valid, model
from .slices import analysed, snapshot

if TYPE_CHECKING:
    from anndata import AnnData


@pytest.fixture(scope="module")
def prepared() -> AnnData:
    import squidpy.pl  # noqa: F401 what is imported here costs the cases no time

    model()
    return analysed()


def test_the_table_is_long_and_has_no_name_twice():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(prepared: AnnData, case: Case):
    adata = prepared.copy()
    spoilt = case.spoil(adata)
    adata = adata if spoilt is None else spoilt
    before = snapshot(adata)
    start = time.process_time()
    with warnings.catch_warnings(), pytest.raises(case.error, match=f"(?s){case.message}") as caught:
        warnings.simplefilter("ignore")
        case.call(adata)
    assert time.process_time() - start < 2
    assert type(caught.value) is case.error
    assert snapshot(adata) == before


@pytest.mark.parametrize("case", VALID, ids=lambda case: case.name)
def test_unusual_input_with_a_documented_result(prepared: AnnData, case: Valid):
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert case.call(prepared.copy())
    assert time.process_time() - start < 10
    ours = [str(w.message) for w in caught if "obsp" in str(w.message)]
    assert bool(ours) == bool(case.warns)
    assert all(re.search(f"(?s){case.warns}", message) for message in ours)
