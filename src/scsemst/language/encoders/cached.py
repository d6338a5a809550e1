"""Any encoder, with its vectors kept on disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from .base import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scsemst.language.cache import EmbeddingCache

_SECONDS_BETWEEN_WRITES = 1.0


class CachedEncoder(Encoder):
    """Reads known vectors from the cache and keeps new ones there as they come.

    Parameters
    ----------
    encoder
        Encoder of the texts that the cache lacks.
    cache
        Where vectors are kept.
    """

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self.encoder = encoder
        self.cache = cache

    @property
    def id(self) -> str:
        """The wrapped encoder's."""
        return self.encoder.id

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield what the cache holds, then what the encoder computes."""
        known = np.zeros(len(texts), dtype=bool)
        for positions, vectors in self.cache.read(self.id, texts):
            known[positions] = True
            yield positions, vectors
        missing = np.flatnonzero(~known)
        if not len(missing):
            return
        unwritten: list[tuple[list[str], np.ndarray]] = []
        written_at = time.monotonic()
        try:
            for positions, vectors in self.encoder.batches([texts[i] for i in missing.tolist()]):
                positions = missing[positions]
                unwritten.append(([texts[i] for i in positions], vectors))
                if time.monotonic() - written_at >= _SECONDS_BETWEEN_WRITES:
                    self._write(unwritten)
                    written_at = time.monotonic()
                yield positions, vectors
        finally:  # whatever stopped the run, what was computed is kept
            self._write(unwritten)

    def _write(self, unwritten: list[tuple[list[str], np.ndarray]]) -> None:
        if unwritten:
            texts = [text for batch, _ in unwritten for text in batch]
            self.cache.write(self.id, texts, np.concatenate([vectors for _, vectors in unwritten]))
            unwritten.clear()
