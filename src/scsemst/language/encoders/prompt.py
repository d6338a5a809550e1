"""Prompts through a Hugging Face model, their constant beginning encoded once."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from scsemst._checks import require_in, require_integer

from .base import Encoder, require_vectors
from .huggingface import length_batches, pad, pad_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from scsemst.language.prompts import Prompt

    from .checkpoint import Checkpoint

logger = logging.getLogger(__name__)

POOLINGS = ("genes", "mean", "last")
_SLAB = 16_384  # texts held as tokens at a time
_CACHE_ARGUMENTS = ("cache", "past_key_values")  # transformers from 5.24 on, and before


class PromptEncoder(Encoder):
    """Last hidden states of a prompt, pooled over its gene tokens, all its tokens, or the last.

    In a causal model no token sees those after it. So the tokens that all prompts begin with are encoded once and
    their keys and values are handed to every batch, and tokens after the last pooled one are not computed at all.
    The first prompt is encoded both ways; where the two differ, the model is not causal and every prompt is encoded
    whole.

    Parameters
    ----------
    checkpoint
        Model and tokenizer.
    prompt
        What surrounds the genes. The texts to encode are the genes alone, as `prompts.join_genes` writes them.
    pooling
        `"genes"`, `"mean"` or `"last"`.
    batch_size
        Prompts per forward pass.
    reuse_prefix
        Whether to encode the common beginning once; the vectors are the same.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        prompt: Prompt,
        *,
        pooling: str = "genes",
        batch_size: int = 32,
        reuse_prefix: bool = True,
    ) -> None:
        require_in(pooling, POOLINGS, name="pooling")
        self.checkpoint = checkpoint
        self.prompt = prompt
        self.pooling = pooling
        self.batch_size = require_integer(batch_size, name="batch_size", minimum=1)
        self.reuse_prefix = reuse_prefix

    @property
    def id(self) -> str:
        """Model, revision or file hash, precision, prompt, pooling."""
        return f"prompt:{self.checkpoint.id}/{self.prompt.hash}/{self.pooling}"

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions and vectors, longest prompts first."""
        reuse = self.reuse_prefix
        for start in range(0, len(texts), _SLAB):
            tokens, weights = self._tokenize(texts[start : start + _SLAB])
            prefix = self._prefix(tokens, weights) if reuse else None
            reuse = reuse and (prefix is not None or len(tokens) == 1)
            skipped = 0 if prefix is None else prefix.length
            lengths = [_used(w) - skipped if prefix else len(t) for t, w in zip(tokens, weights, strict=True)]
            for positions in length_batches(lengths, self.batch_size):
                vectors = self._forward([tokens[i] for i in positions], [weights[i] for i in positions], prefix)
                yield positions + start, require_vectors(vectors, name=self.id, fix='Pass dtype="float32".')

    def _tokenize(self, texts: Sequence[str]) -> tuple[list[list[int]], list[np.ndarray]]:
        """Return each prompt's tokens and which of them are pooled."""
        tokenizer = self.checkpoint.tokenizer
        if self.pooling == "genes" and not tokenizer.is_fast:
            raise ValueError(
                f"The tokenizer of {self.checkpoint.name!r} does not tell which tokens belong to genes (it is not a "
                'fast tokenizer). Pass pooling="mean".'
            )
        encoded = tokenizer(
            [self.prompt.fill(text) for text in texts],
            add_special_tokens=self.prompt.add_special_tokens,
            return_offsets_mapping=self.pooling == "genes",
            verbose=False,
        )
        tokens = encoded["input_ids"]
        longest = max(len(ids) for ids in tokens)
        if longest > self.checkpoint.max_length:
            raise ValueError(
                f"A prompt has {longest} tokens, but {self.checkpoint.name!r} reads {self.checkpoint.max_length}. "
                "Lower n_top_genes or shorten the prompt."
            )
        if self.pooling == "genes":
            weights = [
                _overlap(self.prompt.gene_characters(text), offsets)
                for text, offsets in zip(texts, encoded["offset_mapping"], strict=True)
            ]
        else:
            weights = [np.full(len(ids), self.pooling == "mean") for ids in tokens]
            for weight in weights:
                weight[-1] = True
        return tokens, weights

    def _prefix(self, tokens: list[list[int]], weights: list[np.ndarray]) -> Prefix | None:
        """Encode the common beginning, or return `None` if that is no use or not the same."""
        used = [ids[: _used(weight)] for ids, weight in zip(tokens, weights, strict=True)]
        length = min(_common_length(used), min(map(len, used)) - 1)
        if len(tokens) == 1 or length < 1:
            return None
        prefix = Prefix.encode(self.checkpoint.model, tokens[0][:length])
        if prefix is None:
            return None
        plain = self._forward(tokens[:1], weights[:1], None)
        reused = self._forward(tokens[:1], weights[:1], prefix)
        tolerance = 1e-4 if self.checkpoint.model.dtype.itemsize == 4 else 5e-2
        if np.abs(plain - reused).max() > tolerance * max(1.0, np.abs(plain).max()):
            logger.info("%s is not causal: each prompt is encoded whole.", self.checkpoint.name)
            return None
        return prefix

    def _forward(
        self, tokens: Sequence[Sequence[int]], weights: Sequence[np.ndarray], prefix: Prefix | None
    ) -> np.ndarray:
        """Return the pooled vectors of one batch, shape `(b, d)`."""
        import torch

        model = self.checkpoint.model
        start = prefix.length if prefix else 0
        if prefix:  # later tokens change nothing before them
            tokens = [ids[start : _used(weight)] for ids, weight in zip(tokens, weights, strict=True)]
        ids, mask = pad(tokens, pad_id=pad_id(self.checkpoint))
        pooled = torch.zeros(ids.shape, dtype=torch.float32)
        for row, weight in enumerate(weights):
            part = torch.as_tensor(weight[start : start + len(tokens[row])], dtype=torch.float32)
            pooled[row, : len(part)] = part
        ids, mask, pooled = (tensor.to(model.device) for tensor in (ids, mask, pooled))
        with torch.inference_mode():
            if prefix is None:
                hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
                total = torch.einsum("bt,btd->bd", pooled, hidden.float())
            else:
                hidden = prefix.extend(model, ids, mask)
                before = torch.as_tensor(np.stack([weight[:start] for weight in weights]), dtype=torch.float32)
                total = torch.einsum("bt,btd->bd", pooled, hidden.float()) + before.to(model.device) @ prefix.hidden
        counts = np.array([weight.sum() for weight in weights], dtype=np.float32)
        return total.cpu().numpy() / counts[:, None]


class Prefix:
    """Tokens that many prompts begin with: their keys, values and hidden states.

    Parameters
    ----------
    length
        Number of tokens.
    hidden
        Last hidden states, float32, shape `(length, d)`.
    cache
        The model's keys and values.
    argument
        What the model calls them.
    """

    def __init__(self, length: int, hidden: torch.Tensor, cache: Any, argument: str) -> None:
        self.length = length
        self.hidden = hidden
        self.cache = cache
        self.argument = argument

    @classmethod
    def encode(cls, model: Any, tokens: Sequence[int]) -> Prefix | None:
        """Encode `tokens`; `None` if the model keeps no keys and values."""
        import torch

        ids = torch.as_tensor([list(tokens)], device=model.device)
        with torch.inference_mode():
            try:
                output = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True)
            except TypeError:  # no such argument
                return None
        # Only the first that there is: newer transformers warn of the other's name
        argument = next((name for name in _CACHE_ARGUMENTS if hasattr(output, name)), "")
        cache = getattr(output, argument, None)
        if hasattr(cache, "batch_repeat_interleave"):
            return cls(len(tokens), output.last_hidden_state[0].float(), cache, argument)
        return None

    def extend(self, model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the hidden states of tokens that follow the prefix, shape `(b, length, d)`."""
        import torch

        cache = copy.deepcopy(self.cache)  # the model appends to it
        cache.batch_repeat_interleave(len(ids))
        before = torch.ones((len(ids), self.length), dtype=mask.dtype, device=mask.device)
        positions = torch.arange(self.length, self.length + ids.shape[1], device=ids.device).expand_as(ids)
        return model(
            input_ids=ids,
            attention_mask=torch.cat([before, mask], dim=1),
            position_ids=positions,
            use_cache=True,
            **{self.argument: cache},
        ).last_hidden_state


def _used(weight: np.ndarray) -> int:
    """Return the number of tokens up to the last pooled one."""
    return int(np.flatnonzero(weight)[-1]) + 1


def _overlap(characters: np.ndarray, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return which tokens have one of the marked characters."""
    before = np.concatenate([[0], np.cumsum(characters)])
    spans = np.asarray(offsets)
    return before[spans[:, 1]] > before[spans[:, 0]]


def _common_length(tokens: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all sequences begin with."""
    first, last = min(map(tuple, tokens)), max(map(tuple, tokens))  # what the extremes of an ordering share, all share
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
