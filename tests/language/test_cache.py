from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scsemst.language.cache import EmbeddingCache, hash_text
from scsemst.language.encoders.base import Encoder
from scsemst.language.encoders.cached import CachedEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WRITER = """
import sys
import numpy as np
from scsemst.language.cache import EmbeddingCache
cache = EmbeddingCache(sys.argv[1])
for start in range(int(sys.argv[2]), int(sys.argv[3]), 50):
    texts = [f"gene {i}" for i in range(start, start + 50)]
    cache.write("encoder", texts, np.repeat(np.arange(start, start + 50, dtype=np.float32)[:, None], 8, axis=1))
    print(start, flush=True)
"""


def letters(text: str) -> np.ndarray:
    """Count letters: an encoder whose vectors a test can recompute."""
    return np.bincount(np.frombuffer(text.lower().encode(), np.uint8), minlength=128).astype(np.float32)


class LetterEncoder(Encoder):
    """Counts letters, notes what it was asked, and breaks off after some texts."""

    id = "letters"

    def __init__(self, *, breaks_after: int | None = None) -> None:
        self.breaks_after = breaks_after
        self.asked: list[str] = []

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for position, text in enumerate(texts):
            if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
                raise KeyboardInterrupt
            self.asked.append(text)
            yield np.array([position]), letters(text)[None]


def read_all(cache: EmbeddingCache, encoder: str, texts: list[str]) -> dict[str, np.ndarray]:
    return {
        texts[i]: vector
        for positions, vectors in cache.read(encoder, texts)
        for i, vector in zip(positions, vectors, strict=True)
    }


def start_writer(folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def assert_whole(folder: Path) -> int:
    """Check that the file is sound and holds whole batches; return the number of vectors."""
    cache = EmbeddingCache(folder)
    with closing(sqlite3.connect(cache.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    texts = [f"gene {i}" for i in range(20_000)]
    found = read_all(cache, "encoder", texts)
    assert len(found) % 50 == 0
    for text, vector in found.items():
        np.testing.assert_array_equal(vector, np.full(8, float(text.split()[1])))
    return len(found)


def test_reads_back_in_bulk_what_was_written(tmp_path: Path):
    cache = EmbeddingCache(tmp_path)
    texts = [f"gene {i}" for i in range(2000)]
    vectors = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    assert read_all(cache, "a", texts) == {}
    cache.write("a", texts, vectors)
    found = read_all(cache, "a", [*texts[::-1], "unknown"])
    np.testing.assert_array_equal(np.stack([found[text] for text in texts]), vectors)
    assert "unknown" not in found
    assert read_all(cache, "b", texts) == {}
    assert cache.info().n_vectors == {"a": 2000}
    cache.clear()
    assert cache.info().n_vectors == {}
    assert cache.info().n_bytes < 50_000


def test_interrupted_run_goes_on_where_it_stopped(tmp_path: Path):
    texts = [f"gene {i}" for i in range(30)]
    with pytest.raises(KeyboardInterrupt):
        CachedEncoder(LetterEncoder(breaks_after=12), EmbeddingCache(tmp_path)).encode(texts)
    second = LetterEncoder()
    vectors = CachedEncoder(second, EmbeddingCache(tmp_path)).encode(texts)
    assert second.asked == texts[12:]
    np.testing.assert_array_equal(vectors, np.stack([letters(text) for text in texts]))


def test_survives_kill_at_any_moment(tmp_path: Path):
    for delay in (0.0, 0.1):
        writer = start_writer(tmp_path, 0, 20_000)
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert assert_whole(tmp_path) >= 50
    EmbeddingCache(tmp_path).write("encoder", ["after"], np.ones((1, 8)))
    assert "after" in read_all(EmbeddingCache(tmp_path), "encoder", ["after"])


def test_reads_after_a_writer_was_killed_in_the_midst_of_a_transaction(tmp_path: Path):
    cache = EmbeddingCache(tmp_path)
    texts = [f"gene {i}" for i in range(2000)]
    cache.write("encoder", texts, np.ones((2000, 64)))
    script = f"""
import os, signal, sqlite3
connection = sqlite3.connect({str(cache.path)!r})
connection.execute("PRAGMA cache_size = 5")  # pages go to the file before the transaction ends
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE vectors SET vector = zeroblob(256)")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*-journal")), "half a transaction is in the file"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_all(EmbeddingCache(tmp_path), "encoder", texts)
    assert len(found) == 2000
    assert all((vector == 1).all() for vector in found.values())


def test_two_processes_at_once(tmp_path: Path):
    writers = [start_writer(tmp_path, 0, 3000), start_writer(tmp_path, 2000, 5000)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert assert_whole(tmp_path) == 5000


def test_drops_what_was_read_longest_ago(tmp_path: Path):
    limit = 2_000_000
    cache = EmbeddingCache(tmp_path, max_bytes=limit)
    cache.write("a", ["kept"], np.zeros((1, 256)))
    cache.write("a", ["dropped"], np.zeros((1, 256)))
    with closing(sqlite3.connect(cache.path)) as connection, connection:
        connection.execute("UPDATE vectors SET used = used - 1000000")
    assert read_all(cache, "a", ["kept"])  # read today, so it stays
    for start in range(0, 4000, 200):
        cache.write("a", [f"gene {i}" for i in range(start, start + 200)], np.ones((200, 256)))
    assert cache.info().n_bytes <= 1.2 * limit
    assert set(read_all(cache, "a", ["kept", "dropped", "gene 3999"])) >= {"gene 3999"}
    assert "dropped" not in read_all(cache, "a", ["dropped"])
    assert "kept" in read_all(EmbeddingCache(tmp_path), "a", ["kept"]) or cache.info().n_vectors["a"] < 1999


def test_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    encoder = CachedEncoder(LetterEncoder(), EmbeddingCache(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="settings.cache_dir"):
        vectors = encoder.encode(["GFAP", "MBP"])
    np.testing.assert_array_equal(vectors[1], letters("MBP"))


def test_damaged_file(tmp_path: Path):
    cache = EmbeddingCache(tmp_path)
    cache.path.write_bytes(b"no database" * 1000)
    with pytest.warns(UserWarning, match="not a database"):
        vectors = CachedEncoder(LetterEncoder(), cache).encode(["GFAP"])
    np.testing.assert_array_equal(vectors[0], letters("GFAP"))
    with pytest.raises(ValueError, match="cannot be read"):
        cache.info()
    cache.clear()
    assert cache.info().n_bytes == 0


def test_another_database_is_cleared(tmp_path: Path):
    cache = EmbeddingCache(tmp_path)
    with closing(sqlite3.connect(cache.path)) as connection:
        connection.execute("CREATE TABLE vectors (a)")
    with pytest.raises(ValueError, match="no such column.*scsemst cache clear"):
        cache.info()
    cache.clear()
    cache.write("encoder", ["a"], np.ones((1, 3)))
    assert cache.info().n_vectors == {"encoder": 1}


def test_a_cache_in_use_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = EmbeddingCache(tmp_path)
    cache.write("encoder", ["a"], np.ones((1, 3)))
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "timeout": 0.1}))
    with closing(connect(cache.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="locked.*wait for the process"):
            cache.clear()
        other.rollback()
    assert cache.info().n_vectors == {"encoder": 1}


def test_damaged_schema_whose_error_is_no_text(tmp_path: Path):
    """sqlite3 quotes the schema in its message, and fails to decode it."""
    cache = EmbeddingCache(tmp_path)
    cache.write("encoder", ["a"], np.ones((1, 3)))
    content = cache.path.read_bytes().replace(b"CREATE TABLE", b"CREATE \x80\x80BLE", 1)
    cache.path.write_bytes(content)
    with pytest.warns(UserWarning, match="Could not read the cache"):
        assert list(cache.read("encoder", ["a"])) == []
    with pytest.warns(UserWarning, match="Could not write to the cache"):
        cache.write("encoder", ["b"], np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"embeddings\.sqlite.*scsemst cache clear"):
        cache.info()
    cache.clear()
    assert not cache.path.exists()


def test_rows_that_were_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As a damaged index gives them."""
    cache = EmbeddingCache(tmp_path)
    cache.write("encoder", ["a", "b"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    read = cache._read_chunk
    monkeypatch.setattr(cache, "_read_chunk", lambda encoder, keys: read(encoder, [*keys, hash_text("b")]))
    (found,) = cache.read("encoder", ["x", "a"])
    assert found[0].tolist() == [1]
    assert found[1].tolist() == [[1.0, 2.0]]


def test_full_disk_keeps_the_work_done_so_far(tmp_path: Path):
    """A file size limit makes the writes fail as a full disk does."""
    script = f"""
import resource, signal, warnings
import numpy as np
from scsemst.language.cache import EmbeddingCache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
cache = EmbeddingCache({str(tmp_path)!r})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for start in range(0, 1000, 50):
        vectors = np.repeat(np.arange(start, start + 50, dtype=np.float32)[:, None], 8, axis=1)
        cache.write("encoder", [f"gene {{i}}" for i in range(start, start + 50)], vectors)
        cache.write("filler", [f"gene {{i}}" for i in range(start, start + 50)], np.ones((50, 500)))
assert len(caught) == 1, [str(w.message) for w in caught]
assert "Free some space" in str(caught[0].message)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert 50 <= assert_whole(tmp_path) < 1000
