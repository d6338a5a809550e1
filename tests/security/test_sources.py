"""What the package never does with the data of strangers, read off its sources; and traps that must not spring."""

from __future__ import annotations

import ast
import inspect
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import scsemst
from scsemst.language.encoders import get_encoder
from scsemst.language.encoders.checkpoint import Checkpoint
from scsemst.language.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(scsemst.__file__).parent
TREES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
FORBIDDEN = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.hub.load",
    "marshal.loads",
}
FORBIDDEN |= {
    "pickle.loads",
    "dill.load",
    "joblib.load",
    "pd.read_pickle",
    "yaml.load",
    "shelve.open",
    "cloudpickle.load",
}
GUARDED = {"language/tables.py": {"pickle.load"}}  # behind allow_pickle=True, see below


def calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("source", TREES)
def test_nothing_of_a_file_is_executed(source: str):
    found = set(calls(TREES[source]))
    assert not found & FORBIDDEN
    assert {name for name in found if name.startswith("pickle.")} <= GUARDED.get(source, set())
    for node in ast.walk(TREES[source]):
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code", "shell"):
            assert ast.unparse(node.value) != "True", "only who calls us may ask for it"


@pytest.mark.parametrize(
    "call", [scsemst.pp.gene_semantics, scsemst.pp.spot_semantics, get_encoder, Checkpoint, read_table]
)
def test_trust_has_to_be_asked_for(call):
    parameters = inspect.signature(call).parameters
    for name in ("allow_pickle", "trust_remote_code"):
        assert name not in parameters or parameters[name].default is False


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


def test_the_trap_works(sprung: Path):
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()


@pytest.mark.parametrize(
    "name", ["genes.pkl", "genes.pickle", "genes.npz", "genes.parquet", "genes.csv", "genes.csv.gz", "genes.h5ad"]
)
def test_pickled_tables_are_not_read(tmp_path: Path, sprung: Path, name: str):
    path = tmp_path / name
    if name.endswith(".npz"):
        np.savez(path, vectors=np.array([Trap(sprung)], dtype=object))
    else:
        path.write_bytes(pickle.dumps({"GFAP": Trap(sprung)}))
    with pytest.raises(ValueError, match="pickle|cannot be read as a table"):
        read_table(path)
    assert not sprung.exists()


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "model.safetensors"])
def test_pickled_weights_are_not_read(tmp_path: Path, sprung: Path, minilm: Path, weights: str):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((minilm / name).read_bytes())
    (tmp_path / weights).write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(ValueError, match="Could not load the model"):
        _ = Checkpoint(tmp_path, device="cpu").model
    assert not sprung.exists()


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path, sprung: Path):
    (tmp_path / "trap.py").write_text(f"from pathlib import Path\nPath({str(sprung)!r}).touch()\nclass Config: pass\n")
    config = {"model_type": "trap", "auto_map": {"AutoConfig": "trap.Config", "AutoModel": "trap.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="trust_remote_code=True only if you trust"):
        _ = Checkpoint(tmp_path).config
    assert not sprung.exists()


def test_a_pickled_model_is_not_read(tmp_path: Path, sprung: Path):
    (tmp_path / "config.json").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(ValueError, match="damaged"):
        scsemst.SemST.load(tmp_path)
    assert not sprung.exists()
