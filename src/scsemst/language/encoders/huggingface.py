"""Texts through a Hugging Face model, encoder or causal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from scsemst._checks import require_in, require_integer

from .base import Encoder, require_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from .checkpoint import Checkpoint

logger = logging.getLogger(__name__)


class HuggingFaceEncoder(Encoder):
    """Last hidden states, pooled over each text's tokens.

    Parameters
    ----------
    checkpoint
        Model and tokenizer.
    pooling
        `"mean"` over all tokens, or the `"last"` token.
    batch_size
        Texts per forward pass.
    max_length
        Tokens read of each text; what the model can read if `None`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        pooling: str = "mean",
        batch_size: int = 32,
        max_length: int | None = None,
    ) -> None:
        require_in(pooling, ("mean", "last"), name="pooling")
        self.checkpoint = checkpoint
        self.pooling = pooling
        self.batch_size = require_integer(batch_size, name="batch_size", minimum=1)
        self.max_length = None if max_length is None else require_integer(max_length, name="max_length", minimum=1)

    @property
    def id(self) -> str:
        """Model, revision or file hash, precision, pooling."""
        length = f"/{self.max_length}" if self.max_length else ""
        return f"huggingface:{self.checkpoint.id}/{self.pooling}{length}"

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions and vectors, longest texts first."""
        import torch

        tokens = self._tokenize(texts)
        model = self.checkpoint.model
        for positions in length_batches([len(ids) for ids in tokens], self.batch_size):
            ids, mask = pad([tokens[i] for i in positions], pad_id=pad_id(self.checkpoint))
            ids, mask = ids.to(model.device), mask.to(model.device)
            with torch.inference_mode():
                hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
                vectors = pool(hidden, mask, self.pooling).cpu().numpy()
            yield positions, require_vectors(vectors, name=self.id, fix='Pass dtype="float32".')

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self.checkpoint.tokenizer
        limit = min(self.max_length or self.checkpoint.max_length, self.checkpoint.max_length)
        if limit <= (own := tokenizer.num_special_tokens_to_add()):
            raise ValueError(
                f"max_length={limit} leaves no token of a text: the tokenizer of {self.checkpoint.name!r} adds {own} of its "
                "own to each. Pass a larger number."
            )
        tokens = tokenizer(list(texts), truncation=True, max_length=limit, verbose=False)["input_ids"]
        full = sum(len(ids) >= limit for ids in tokens)
        if full:
            logger.info("%d of %d texts fill or exceed the %d tokens that are read of each.", full, len(texts), limit)
        for text, ids in zip(texts, tokens, strict=True):
            if not ids:
                raise ValueError(f"The tokenizer of {self.checkpoint.name!r} finds no token in {text!r}.")
        return tokens


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[np.ndarray]:
    """Yield positions in batches of similar length, longest first: little padding, and memory fails early or never."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def pad_id(checkpoint: Checkpoint) -> int:
    """Return a token to pad with; which one does not matter, for it is masked."""
    tokenizer = checkpoint.tokenizer
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return next(token for token in candidates if token is not None)


def pad(tokens: Sequence[Sequence[int]], *, pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens, padded on the right, and their mask, both of shape `(n, longest)`."""
    import torch

    longest = max(len(ids) for ids in tokens)
    ids = torch.full((len(tokens), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(tokens), longest), dtype=torch.long)
    for row, row_tokens in enumerate(tokens):
        ids[row, : len(row_tokens)] = torch.as_tensor(row_tokens, dtype=torch.long)
        mask[row, : len(row_tokens)] = 1
    return ids, mask


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Pool hidden states, shape `(n, length, d)`, over tokens padded on the right, in float32."""
    if pooling == "last":
        last = mask.sum(dim=1) - 1
        return hidden[range(len(last)), last].float()
    weights = mask.unsqueeze(-1).to(hidden.device)
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)
