"""`import scsemst` costs nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torch_geometric", "transformers", "squidpy", "scanpy", "spatialdata")


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("import scsemst; dir(scsemst)", id="package"),
        pytest.param("from scsemst import pp, tl, pl, datasets, metrics, settings", id="stages"),
        pytest.param("import scsemst._cli", id="command line"),
    ],
)
def test_heavy_libraries_are_not_imported(statement: str):
    code = f"import sys; {statement}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_public_names_resolve():
    import scsemst

    for name in scsemst.__all__:
        assert getattr(scsemst, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = scsemst.nonsense
    assert scsemst.__version__[0].isdigit()
