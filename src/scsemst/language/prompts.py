"""Prompts that name the genes of a spot."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

GENES = "{genes}"
SEPARATOR = ", "

SYSTEM = "You are an expert in molecular biology and in spatial transcriptomics."
PROMPT = f"Genes that mark this spot of tissue, the most specific first: {GENES}"

# The paper's setup in our words. The genes come last, so that all that is constant can be encoded once.
PAPER_SYSTEM = (
    "You are an expert in molecular biology and in spatial transcriptomics. You are given the genes that are most "
    "expressed in one spot of a tissue. Consider what each of them does, and infer the cell types, the pathways and "
    "the biological functions that they stand for together."
)
PAPER_PROMPT = f"The most expressed genes of this spot, the highest first: {GENES}"


@dataclass(frozen=True)
class Prompt:
    """A prompt around a list of genes, as the model reads it.

    Parameters
    ----------
    head
        Text before the genes.
    tail
        Text after the genes.
    add_special_tokens
        Whether the tokenizer adds its special tokens; a chat template has them already.
    """

    head: str
    tail: str
    add_special_tokens: bool

    @property
    def hash(self) -> str:
        """Short hash of everything but the genes."""
        parts = (self.head, self.tail, str(self.add_special_tokens))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def fill(self, genes: str) -> str:
        """Return the whole text."""
        return f"{self.head}{genes}{self.tail}"

    def gene_characters(self, genes: str) -> np.ndarray:
        """Return which characters of the whole text belong to gene names, separators left out."""
        mask = np.zeros(len(self.head) + len(genes) + len(self.tail), dtype=bool)
        start = len(self.head)
        for gene in genes.split(SEPARATOR):
            mask[start : start + len(gene)] = True
            start += len(gene) + len(SEPARATOR)
        return mask


def build_prompt(tokenizer: Any, *, system: str, prompt: str) -> Prompt:
    """Put system and user message into the tokenizer's chat template.

    A tokenizer without a template gets the two texts, one after the other; a template without a system message gets
    both in the user's.

    Parameters
    ----------
    tokenizer
        Tokenizer of the model.
    system
        System message; none if empty.
    prompt
        User message, with `{genes}` where the genes go.

    Raises
    ------
    ValueError
        If `{genes}` is not in the prompt exactly once.
    """
    if prompt.count(GENES) != 1 or GENES in system:
        raise ValueError(f"prompt must have {GENES!r} in it once, and system must not have it; found {prompt!r}.")
    joined = f"{system}\n\n{prompt}" if system else prompt
    if not getattr(tokenizer, "chat_template", None):
        logger.info("The tokenizer has no chat template: system and prompt are joined as plain text.")
        head, tail = joined.split(GENES)
        return Prompt(head, tail, add_special_tokens=True)
    user = [{"role": "user", "content": prompt}]
    try:
        messages = [{"role": "system", "content": system}, *user] if system else user
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception as error:  # noqa: BLE001 - templates raise errors of their own when they know no system role
        logger.info("The chat template takes no system message (%s): it leads the user's instead.", error)
        text = tokenizer.apply_chat_template([{"role": "user", "content": joined}], tokenize=False)
    if text.count(GENES) != 1:
        raise ValueError(f"The chat template does not show the user's message once; it gives {text!r}.")
    head, tail = text.split(GENES)
    return Prompt(head, tail, add_special_tokens=False)


def join_genes(top: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return each row's gene names in one string; empty for a row of -1.

    Parameters
    ----------
    top
        Columns of the genes, best first, -1 where there is none, shape `(n_spots, n_top_genes)`.
    names
        Names of the genes.
    """
    named = np.asarray(names, dtype=object)
    return [SEPARATOR.join(dict.fromkeys(named[row[row >= 0]])) for row in top]
