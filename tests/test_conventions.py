"""What a scanpy user takes for granted, checked on every public function."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from numpydoc.docscrape import FunctionDoc

import scsemst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(scsemst.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
DOCS = PACKAGE.parents[1] / "docs"
STAGES = {"pp": scsemst.pp, "tl": scsemst.tl, "pl": scsemst.pl}


class Function(NamedTuple):
    stage: str
    name: str
    call: Callable

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(self.call).parameters)

    @property
    def returns(self) -> str:
        return str(inspect.signature(self.call).return_annotation)


FUNCTIONS = [
    Function(s, name, getattr(module, name)) for s, module in STAGES.items() for name in getattr(module, "__all__", ())
]
every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"{f.stage}.{f.name}")
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))


def test_the_stages_are_not_empty():
    assert {f.stage for f in FUNCTIONS} == set(STAGES)


@every_function
def test_signature(function: Function):
    first, *rest = function.parameters.values()
    assert first.name == "adata"
    assert first.default is first.empty
    assert first.annotation == "AnnData | SpatialData"
    assert function.parameters["table_key"].default == "table"
    positional = [p.name for p in rest if p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD]
    assert len(positional) <= 2, f"keyword-only, please: {positional}"
    assert all(p.kind is not p.VAR_POSITIONAL for p in rest)
    untyped = [p.name for p in (first, *rest) if p.annotation is p.empty]
    assert not untyped
    assert function.returns != str(inspect.Signature.empty)


@every_function
def test_common_parameters_mean_the_same_everywhere(function: Function):
    defaults = {name: p.default for name, p in function.parameters.items()}
    assert defaults.get("copy", False) is False
    assert defaults.get("rng", 0) == 0
    assert defaults.get("device", "auto") == "auto"
    assert defaults.get("key_added") is None or isinstance(defaults["key_added"], str)
    assert not {"seed", "random_state", "inplace"} & defaults.keys(), "the package says rng= and copy="


@every_function
def test_copy_returns_anndata_or_none(function: Function):
    if function.stage == "pl":
        assert {"ax", "show", "save"} <= function.parameters.keys()
        assert "Axes" in function.returns
    elif "copy" in function.parameters:
        assert function.returns == "AnnData | None"
    else:  # a function that writes nothing has to return something
        assert function.returns not in ("None", "AnnData | None")
        assert "key_added" not in function.parameters


@every_function
def test_docstring(function: Function):
    doc = FunctionDoc(function.call)
    assert " ".join(doc["Summary"]), "a summary line"
    documented = {name.strip() for p in doc["Parameters"] for name in p.name.lstrip("*").split(",")}
    assert documented == set(function.parameters), "the Parameters section names each parameter"
    for parameter in doc["Parameters"]:
        assert parameter.desc, f"{parameter.name} is not described"
        assert not parameter.type, f"{parameter.name}: types and defaults stand in the signature only"
    assert doc["Returns"], "a Returns section"
    assert any(">>>" in line for line in doc["Examples"]), "an example that runs"
    if "copy" in function.parameters:
        assert "Sets the following fields" in inspect.getdoc(function.call)


@every_function
def test_one_public_function_per_file(function: Function):
    module = inspect.getmodule(function.call)
    assert module.__name__ == f"scsemst.{function.stage}._{function.name}"
    public = [n.name for n in ast.parse(inspect.getsource(module)).body if isinstance(n, ast.FunctionDef)]
    assert [name for name in public if not name.startswith("_")] == [function.name]


@pytest.mark.parametrize("module", ["datasets", "metrics", "nn", "pl", "pp", "tl"])
def test_the_api_page_lists_all_that_is_public(module: str):
    page = (DOCS / "api" / f"{module}.md").read_text("utf-8")
    listed = {line.strip() for line in page.splitlines() if line.startswith(f"   {module}.")}
    assert listed == {f"{module}.{name}" for name in getattr(scsemst, module).__all__}


@every_source
def test_source_file(source: Path):
    text = source.read_text("utf-8")
    assert len(text.splitlines()) <= 400, "split it where a reader would look for two things"
    tree = ast.parse(text)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)], "raise, do not assert"
    if "_cli" not in source.parts:
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], (
            "log, do not print"
        )
    assert not list(keys_written_literally(tree)), "keys live in _keys.py"
    # On some processors the last digit of MKL's products depends on where in memory their factors lie: torch aligns
    # its own memory, numpy's lies where the process has room
    assert "from_numpy(" not in text, "torch.tensor(array) copies into torch's memory"


def keys_written_literally(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Assignments such as `adata.obsm["X_key"] = ...`."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if (
                isinstance(target, ast.Subscript)
                and isinstance(target.value, ast.Attribute)
                and target.value.attr in {"obs", "obsm", "obsp", "uns", "var", "varm", "varp", "layers"}
                and isinstance(target.slice, ast.Constant)
            ):
                yield node.lineno, str(target.slice.value)
