"""Files of strangers, damaged at random: read, or refused by a documented error; never a crash, never something else."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import os
import sqlite3
import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import scsemst
from scsemst.language.cache import EmbeddingCache
from scsemst.language.encoders.checkpoint import Checkpoint
from scsemst.language.tables import read_table

from ..slices import corner

if TYPE_CHECKING:
    from pathlib import Path

# SCSEMST_FUZZ_EXAMPLES=1000 pytest tests/security/test_fuzz.py tries other damages, and more of them
N_EXAMPLES = int(os.environ.get("SCSEMST_FUZZ_EXAMPLES", "0"))
fuzz = settings(
    max_examples=N_EXAMPLES or 20,
    derandomize=not N_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # to shrink what fails would take minutes
)

edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "drop", "add", "zero"]), st.floats(0, 1), st.binary(min_size=1, max_size=9)
    ),
    min_size=1,
    max_size=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def damage(content: bytes, how: list[tuple[str, float, bytes]]) -> bytes:
    data = bytearray(content)
    for kind, place, junk in how:
        i = int(place * len(data))
        if kind == "flip":
            data[i : i + len(junk)] = junk
        elif kind == "cut":
            del data[i:]
        elif kind == "drop":
            del data[i : i + len(junk)]
        elif kind == "add":
            data[i:i] = junk
        else:
            data[i : i + len(junk)] = bytes(len(junk))
    return bytes(data)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Return the paths of everything in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    return [path, *(place for key, v in inner for place in places(v, (*path, key)))]


def replaced(document: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), [f"GENE{i}" for i in range(20)])
    table.columns = list("abcd")
    table.to_csv(folder / "t.csv")
    table.to_csv(folder / "t.tsv", sep="\t")
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    table.to_parquet(folder / "t.parquet")
    np.savez(folder / "t.npz", genes=table.index.to_numpy(dtype=str), vectors=table.to_numpy())
    ad.AnnData(table).write_h5ad(folder / "t.h5ad")
    return folder


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.npz", "t.h5ad"])
@fuzz
@given(how=edits)
def test_tables(tables: Path, name: str, how):
    damaged = tables / f"damaged-{name}"
    damaged.write_bytes(damage((tables / name).read_bytes(), how))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = read_table(damaged)
        except ValueError as error:
            assert "damaged-" in str(error)
        else:
            assert np.isfinite(table.vectors).all()
            assert table.vectors.dtype == np.float32
            assert len(table.names) == len(table.vectors)


@pytest.fixture(scope="module")
def trained() -> tuple[scsemst.SemST, ad.AnnData]:
    adata = corner(80, 60)
    return scsemst.SemST.from_adata(adata, 2, epochs=1, progress=False), adata


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    trained[0].save(folder)
    return folder


def loads_or_refuses(folder: Path, adata: ad.AnnData) -> None:
    try:
        model = scsemst.SemST.load(folder)
    except (ValueError, FileNotFoundError) as error:
        assert str(folder) in str(error)
        return
    try:  # what is read as a model works as one, or says what it misses
        scsemst.tl.predict(adata, model, copy=True)
    except (KeyError, ValueError):
        pass


@fuzz
@given(how=edits)
def test_weights_of_a_model(saved: Path, trained, tmp_path_factory: pytest.TempPathFactory, how):
    """The header and the values, with a checksum to match: a stranger would not forget it."""
    folder = tmp_path_factory.mktemp("weights")
    config = json.loads((saved / "config.json").read_text())
    content = (saved / config["weights"]).read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    content = damage(content[:header], how) + content[header:]
    digest = hashlib.sha256(content).hexdigest()
    config |= {"weights": f"model-{digest[:16]}.safetensors", "weights_sha256": digest}
    (folder / config["weights"]).write_bytes(content)
    (folder / "config.json").write_text(json.dumps(config))
    loads_or_refuses(folder, trained[1])


@fuzz
@given(data=st.data(), value=json_values)
def test_configuration_of_a_model(saved: Path, trained, data, value):
    path = saved / "config.json"
    content = path.read_text()
    config = json.loads(content)
    place = data.draw(st.sampled_from(places(config)))
    try:
        path.write_text(json.dumps(replaced(config, place, value)))
        loads_or_refuses(saved, trained[1])
    finally:
        path.write_text(content)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"null", b"1e999"])
def test_hostile_json(tmp_path: Path, content: bytes):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json"):
        scsemst.SemST.load(tmp_path)


def test_a_model_that_claims_to_be_huge(saved: Path):
    path = saved / "config.json"
    content = path.read_text()
    config = json.loads(content)
    try:
        for name in ("in_channels", "hidden_channels", "latent_layers"):
            path.write_text(json.dumps(replaced(config, ("module", name), 10**9)))
            with pytest.raises(ValueError, match=f"damaged.*{name}.*found 1000000000"):
                scsemst.SemST.load(saved)
        path.write_text(json.dumps(replaced(config, ("module", "hidden_channels"), 10**7)))
        with pytest.raises(ValueError, match="damaged.*size mismatch"):
            scsemst.SemST.load(saved)
    finally:
        path.write_text(content)


@fuzz
@given(how=edits)
def test_cache_of_texts(tmp_path_factory: pytest.TempPathFactory, how):
    cache = EmbeddingCache(tmp_path_factory.mktemp("cache"))
    texts = [f"gene {i}" for i in range(50)]
    vectors = np.arange(150, dtype=np.float32).reshape(50, 3)
    cache.write("encoder", texts, vectors)
    cache.path.write_bytes(damage(cache.path.read_bytes(), how))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for positions, found in cache.read("encoder", texts):
            assert found.dtype == np.float32
            assert len(found) == len(positions)
        cache.write("encoder", texts, vectors)


blobs = st.binary(max_size=20) | st.text(max_size=5) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)


@fuzz
@given(vector=blobs, used=blobs)
def test_rows_of_the_cache(tmp_path_factory: pytest.TempPathFactory, vector, used):
    cache = EmbeddingCache(tmp_path_factory.mktemp("rows"))
    texts = [f"gene {i}" for i in range(5)]
    cache.write("encoder", texts, np.ones((5, 3)))
    with closing(sqlite3.connect(cache.path)) as connection, connection:
        connection.execute("UPDATE vectors SET vector = ?, used = ? WHERE rowid = 2", (vector, used))
    for _, found in cache.read("encoder", texts):
        assert np.isfinite(found).all()


@pytest.fixture(scope="module")
def language_model(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configuration and tokenizer; weights are never reached."""
    folder = tmp_path_factory.mktemp("language")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((minilm / name).read_bytes())
    return folder


@fuzz
@given(data=st.data(), value=json_values)
def test_configuration_of_a_language_model(language_model: Path, data, value):
    path = language_model / "config.json"
    content = path.read_text()
    config = json.loads(content)
    place = data.draw(st.sampled_from(places(config)))
    try:
        path.write_text(json.dumps(replaced(config, place, value)))
        try:
            assert Checkpoint(language_model, device="cpu").config is not None
        except ValueError as error:
            assert "Could not load" in str(error) or "brings its own code" in str(error)
    finally:
        path.write_text(content)


@settings(fuzz, max_examples=N_EXAMPLES or 5)
@given(how=edits)
def test_weights_of_a_language_model(language_model: Path, how):
    header = json.dumps({"x": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    content = damage(len(header).to_bytes(8, "little") + header + bytes(16), how)
    (language_model / "model.safetensors").write_bytes(content)
    try:
        _ = Checkpoint(language_model, device="cpu").model
    except ValueError as error:
        assert "Could not load the model" in str(error)
