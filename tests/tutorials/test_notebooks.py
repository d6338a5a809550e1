"""The tutorials have been run, say nothing of the machine they ran on, and still run."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "tutorials").glob("*.ipynb"))
PATHS = re.compile(r"(?<![\w.~])/(root|home|work|Users|tmp|private|mnt|opt|usr|var)/|site-packages|[A-Z]:\\\\")
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_tutorials", REPOSITORY / "scripts" / "run_tutorials.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_cells(notebook: nbformat.NotebookNode) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_page_lists_each():
    page = (REPOSITORY / "tutorials" / "index.md").read_text("utf-8")
    assert set(re.findall(r"^\w+$", page, flags=re.M)) == {path.stem for path in NOTEBOOKS}


@every_notebook
def test_outputs_are_those_of_one_clean_run(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs), "a picture"
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    for output in outputs:
        output.get("data", {}).pop("image/png", None)
    assert not PATHS.search(json.dumps(outputs))
    assert path.stat().st_size < 1e6


def test_the_first_runs_and_shows_what_it_did():
    """The others are run by `make tutorials`, in a workflow of its own."""
    path = REPOSITORY / "tutorials" / "cortex.ipynb"
    before, after = nbformat.read(path, as_version=4), runner().run(path)
    assert [len(cell.outputs) for cell in code_cells(after)] == [len(cell.outputs) for cell in code_cells(before)]
