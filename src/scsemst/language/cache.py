"""Vectors of texts, kept on disk so that no text passes through a model twice."""

from __future__ import annotations

import hashlib
import sqlite3
import time
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scsemst._settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE_NAME = "embeddings.sqlite"
MAX_BYTES = 4 * 1024**3
# The last where the file is damaged and the message about it is no text
_ERRORS = (sqlite3.Error, UnicodeDecodeError)
# The low byte says what kind of trouble it is
_NOT_NOW = {
    getattr(sqlite3, f"SQLITE_{name}")
    for name in ("BUSY", "LOCKED", "READONLY", "FULL", "IOERR", "CANTOPEN", "PERM", "NOMEM", "INTERRUPT")
}
_CHUNK = 900  # SQLite builds before 3.32 take at most 999 parameters
_DAY = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS encoders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS vectors (
    encoder INTEGER NOT NULL REFERENCES encoders (id),
    text BLOB NOT NULL,
    used INTEGER NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (encoder, text)
);
CREATE INDEX IF NOT EXISTS vectors_used ON vectors (used);
"""


@dataclass(frozen=True)
class CacheInfo:
    """What the cache holds."""

    path: Path
    n_bytes: int
    max_bytes: int
    n_vectors: dict[str, int]
    """Vectors kept of each encoder."""

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.n_bytes / 1e6:.1f} MB of at most {self.max_bytes / 1e6:.0f} MB"]
        lines += [f"  {n:>9} vectors of {name}" for name, n in self.n_vectors.items()] or ["  empty"]
        return "\n".join(lines)


class EmbeddingCache:
    """Vectors keyed by encoder and text in one SQLite file.

    SQLite's journal makes each write whole or absent: the file survives `kill -9` at any moment and several
    processes at once. Caching never stops a computation: a folder that cannot be written, a full disk or a damaged
    file give one warning, and vectors are then computed without being kept.

    Parameters
    ----------
    folder
        Where the file is; `settings.cache_dir` if `None`.
    max_bytes
        Size above which the vectors that were read longest ago are dropped.
    """

    def __init__(self, folder: str | Path | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = Path(folder if folder is not None else settings.cache_dir) / FILE_NAME
        self.max_bytes = max_bytes
        self._broken = False

    def read(self, encoder: str, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions in `texts` and their vectors, many at a time, for the texts that are known."""
        if not self.path.is_file():
            return
        for start in range(0, len(texts), _CHUNK):
            keys = {hash_text(text): start + i for i, text in enumerate(texts[start : start + _CHUNK])}
            try:
                rows = self._read_chunk(encoder, list(keys))
            except _ERRORS as error:
                self._warn("read", error)
                return
            rows = [row for row in rows if row[0] in keys]  # a damaged index finds what was not asked for
            if rows:
                positions = np.array([keys[key] for key, _ in rows])
                vectors = np.frombuffer(b"".join(v for _, v in rows), np.float32).reshape(len(rows), -1)
                sound = np.isfinite(vectors).all(axis=1)
                yield positions[sound], vectors[sound]

    def write(self, encoder: str, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Keep the vectors of `texts`, shape `(len(texts), d)`: all of them or, with a warning, none."""
        if self._broken:
            return
        now = int(time.time())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT OR IGNORE INTO encoders (name) VALUES (?)", (encoder,))
                (number,) = connection.execute("SELECT id FROM encoders WHERE name = ?", (encoder,)).fetchone()
                connection.executemany(
                    "INSERT OR REPLACE INTO vectors (encoder, text, used, vector) VALUES (?, ?, ?, ?)",
                    (
                        (number, hash_text(text), now, np.ascontiguousarray(vector, dtype=np.float32).tobytes())
                        for text, vector in zip(texts, vectors, strict=True)
                    ),
                )
                self._evict(connection)
        except (*_ERRORS, OSError) as error:
            self._broken = True
            self._warn("write to", error)

    def info(self) -> CacheInfo:
        """Return what the cache holds."""
        if not self.path.is_file():
            return CacheInfo(self.path, 0, self.max_bytes, {})
        query = "SELECT name, count(vectors.encoder) FROM encoders LEFT JOIN vectors ON encoder = id GROUP BY name"
        try:
            counts = dict(self._query(query))
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{str(self.path)!r} cannot be read ({error}). `scsemst cache clear` removes it."
            ) from error
        return CacheInfo(self.path, self.path.stat().st_size, self.max_bytes, counts)

    def clear(self) -> None:
        """Drop everything; other processes may be reading and writing.

        Raises
        ------
        OSError
            If the file is sound but cannot be written.
        """
        if not self.path.is_file():
            return
        try:
            with closing(self._connect()) as connection:
                with connection:
                    connection.execute("DELETE FROM vectors")
                    connection.execute("DELETE FROM encoders")
                connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _NOT_NOW:  # no cache of this package, or not any more
                self.path.unlink()
                return
            raise OSError(
                f"{str(self.path)!r} could not be cleared ({error}). Make the file and its folder writable, or wait for the "
                "process that is using it."
            ) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self.path.unlink()

    def _connect(self, *, write: bool = True) -> sqlite3.Connection:
        # Opened anew for each bulk of work: nothing is left open across forks, threads or a killed notebook.
        target = self.path if write else f"{self.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(target, timeout=60, uri=not write)
        if write:
            try:
                connection.executescript(_SCHEMA)
            except _ERRORS:
                connection.close()
                raise
        return connection

    def _query(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        try:
            with closing(self._connect(write=False)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            # A writer that was killed leaves a journal behind, and who may only read may not roll it back
            with closing(self._connect()) as connection:
                return connection.execute(query, values).fetchall()

    def _read_chunk(self, encoder: str, keys: list[bytes]) -> list[tuple[bytes, bytes]]:
        marks = ",".join("?" * len(keys))
        query = (
            f"SELECT text, vector, used FROM vectors JOIN encoders ON encoder = id WHERE name = ? AND text IN ({marks})"
        )
        rows = self._query(query, (encoder, *keys))
        # A file of strangers can hold anything: what is no vector, or not as long as the others, is computed anew
        rows = [row for row in rows if isinstance(row[1], bytes) and row[1] and len(row[1]) % 4 == 0]
        rows = [row for row in rows if len(row[1]) == len(rows[0][1])]
        now = int(time.time())
        if any(isinstance(used, int) and now - used > _DAY for *_, used in rows):
            self._touch(encoder, keys, now)
        return [(key, vector) for key, vector, _ in rows]

    def _touch(self, encoder: str, keys: list[bytes], now: int) -> None:
        # To the day is exact enough, and spares a write at each read. A shared read-only cache is not touched.
        marks = ",".join("?" * len(keys))
        query = (
            "UPDATE vectors SET used = ? WHERE encoder = (SELECT id FROM encoders WHERE name = ?) "
            f"AND text IN ({marks})"
        )
        try:
            with closing(self._connect()) as connection, connection:
                connection.execute(query, (now, encoder, *keys))
        except _ERRORS:
            pass

    def _evict(self, connection: sqlite3.Connection) -> None:
        if self._used_bytes(connection) <= self.max_bytes:
            return
        # A tenth at a time, so that a full cache does not evict at every write.
        while self._used_bytes(connection) > 0.9 * self.max_bytes:
            oldest = "SELECT rowid FROM vectors ORDER BY used, rowid LIMIT max(1, (SELECT count(*) / 10 FROM vectors))"
            if not connection.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})").rowcount:
                return

    @staticmethod
    def _used_bytes(connection: sqlite3.Connection) -> int:
        size, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
        return size * (pages - free)

    def _warn(self, action: str, error: Exception) -> None:
        warnings.warn(
            f"Could not {action} the cache of embeddings {str(self.path)!r} ({error}). The vectors are computed all "
            "the same; those that are not kept will be computed again next time. Free some space, or set "
            "scsemst.settings.cache_dir to a folder that can be written.",
            stacklevel=2,
        )


def hash_text(text: str) -> bytes:
    """Return the key of a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def cache_info() -> CacheInfo:
    """Return what the cache in `settings.cache_dir` holds: `path`, `n_bytes`, `max_bytes`, `n_vectors`.

    Examples
    --------
    >>> from scsemst.language.cache import cache_info
    >>> cache_info().path.name
    'embeddings.sqlite'
    """
    return EmbeddingCache().info()


def cache_clear() -> None:
    """Drop every vector from the cache in `settings.cache_dir`."""
    EmbeddingCache().clear()
