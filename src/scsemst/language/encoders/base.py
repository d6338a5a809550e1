"""What every encoder of texts offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Encoder(ABC):
    """Turns texts into vectors.

    A subclass says who it is (`id`) and yields vectors as it computes them (`batches`), so that a cache can keep
    each batch at once and an interrupted run loses nothing.
    """

    @property
    @abstractmethod
    def id(self) -> str:
        """Everything, apart from the text, that the vectors depend on: model and revision or file hash, pooling."""

    @abstractmethod
    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions in `texts`, shape `(b,)`, and their vectors, shape `(b, d)`, in any order."""

    def encode(self, texts: Sequence[str], *, progress: bool = True) -> np.ndarray:
        """Return the vectors of `texts`; identical texts are encoded once.

        Parameters
        ----------
        texts
            Texts, none of them empty.
        progress
            Whether to show a progress bar on work of more than two seconds.

        Returns
        -------
        Vectors, float32, shape `(len(texts), d)`.

        Raises
        ------
        ValueError
            If there are no texts, a text is empty, or the vectors are not finite.
        """
        from tqdm.auto import tqdm

        texts = list(texts)
        require_texts(texts)
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        unique = list(rows)
        vectors = np.empty((0, 0), dtype=np.float32)
        with tqdm(total=len(unique), desc="Encoding", unit="text", delay=2, disable=not progress) as bar:
            for positions, batch in self.batches(unique):
                if not vectors.size:
                    vectors = np.empty((len(unique), batch.shape[1]), dtype=np.float32)
                if batch.shape[1] != vectors.shape[1]:
                    raise ValueError(
                        f"{self.id} gave vectors of {batch.shape[1]} and of {vectors.shape[1]} dimensions: the model "
                        "behind this name has changed. Run scsemst.language.cache.cache_clear() and encode again."
                    )
                vectors[positions] = batch
                bar.update(len(positions))
        if len(unique) == len(texts):
            return vectors
        return vectors[[rows[text] for text in texts]]


def require_texts(texts: Sequence[str]) -> None:
    """Raise unless there are texts and each has something to read."""
    if not texts:
        raise ValueError("There are no texts to encode.")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"Text {position} is {text!r} of type {type(text).__name__}, not a string.")
        if not text.strip():
            raise ValueError(f"Text {position} is empty: there is nothing to encode. Leave it out.")


def require_vectors(vectors: np.ndarray, *, name: str, fix: str) -> np.ndarray:
    """Return `vectors` as float32, or raise if values are not finite."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} gave vectors with NaN or infinite values. {fix}")
    return vectors
