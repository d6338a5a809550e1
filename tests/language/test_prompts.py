from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scsemst.language.encoders.checkpoint import Checkpoint
from scsemst.language.encoders.prompt import PromptEncoder
from scsemst.language.prompts import PAPER_PROMPT, PAPER_SYSTEM, PROMPT, SYSTEM, build_prompt, join_genes

if TYPE_CHECKING:
    from pathlib import Path

GENES = ["MBP, PLP1, CRYAB", "SNAP25, VSNL1, NRGN, ENC1, CCK", "MBP, PLP1", "HBA1", "SNAP25, CCK"]


@pytest.fixture(scope="module")
def causal(smollm2: Path) -> Checkpoint:
    return Checkpoint(smollm2, device="cpu")


def plain(checkpoint: Checkpoint, text: str, pooling: str, genes: str, special: bool) -> np.ndarray:
    """One whole prompt through the model, pooled by hand."""
    import torch

    encoded = checkpoint.tokenizer(text, return_offsets_mapping=True, add_special_tokens=special, return_tensors="pt")
    with torch.inference_mode():
        hidden = checkpoint.model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])
    hidden = hidden.last_hidden_state[0].numpy()
    if pooling == "last":
        return hidden[-1]
    if pooling == "mean":
        return hidden.mean(axis=0)
    spans = []
    position = text.index(genes)
    for gene in genes.split(", "):
        position = text.index(gene, position)
        spans.append((position, position + len(gene)))
    of_genes = [any(start < b and a < end for a, b in spans) for start, end in encoded["offset_mapping"][0].tolist()]
    return hidden[of_genes].mean(axis=0)


@pytest.mark.parametrize("pooling", ["genes", "mean", "last"])
def test_reused_prefix_gives_what_the_whole_prompt_gives(pooling: str, causal: Checkpoint):
    prompt = build_prompt(causal.tokenizer, system=SYSTEM, prompt=PROMPT)
    encoder = PromptEncoder(causal, prompt, pooling=pooling, batch_size=3)
    tokens, weights = encoder._tokenize(GENES)
    prefix = encoder._prefix(tokens, weights)
    assert prefix.length >= len(causal.tokenizer(prompt.head)["input_ids"]) - 1
    vectors = encoder.encode(GENES)
    expected = np.stack([plain(causal, prompt.fill(genes), pooling, genes, special=False) for genes in GENES])
    np.testing.assert_allclose(vectors, expected, atol=1e-4, rtol=0)


def test_prompts_that_begin_with_the_same_genes(causal: Checkpoint):
    """The common beginning reaches into the genes; what is pooled there is not lost."""
    prompt = build_prompt(causal.tokenizer, system="", prompt="{genes} are the genes.")
    genes = ["MBP, PLP1, GFAP", "MBP, PLP1, CNP", "MBP, PLP1"]
    vectors = PromptEncoder(causal, prompt).encode(genes)
    for text, vector in zip(genes, vectors, strict=True):
        np.testing.assert_allclose(vector, plain(causal, prompt.fill(text), "genes", text, False), atol=1e-4, rtol=0)


def test_model_that_is_not_causal_reads_whole_prompts(minilm: Path):
    checkpoint = Checkpoint(minilm, device="cpu")
    prompt = build_prompt(checkpoint.tokenizer, system=SYSTEM, prompt=PROMPT)
    vectors = PromptEncoder(checkpoint, prompt, batch_size=2).encode(GENES)
    for genes, vector in zip(GENES, vectors, strict=True):
        np.testing.assert_allclose(vector, plain(checkpoint, prompt.fill(genes), "genes", genes, True), atol=1e-5)


def test_bidirectional_attention_is_noticed(causal: Checkpoint, monkeypatch: pytest.MonkeyPatch):
    """Models such as LLM2Vec's keep keys and values, yet their tokens see those after them."""
    import torch

    from scsemst.language.encoders.prompt import Prefix

    prompt = build_prompt(causal.tokenizer, system=SYSTEM, prompt=PROMPT)
    encoder = PromptEncoder(causal, prompt, pooling="mean")
    monkeypatch.setattr(Prefix, "extend", lambda self, model, ids, mask: torch.ones((*ids.shape, 576)))
    assert encoder._prefix(*encoder._tokenize(GENES)) is None


def test_chat_template_frames_the_prompt(causal: Checkpoint, minilm: Path):
    prompt = build_prompt(causal.tokenizer, system=PAPER_SYSTEM, prompt=PAPER_PROMPT)
    assert prompt.head.startswith(f"<|im_start|>system\n{PAPER_SYSTEM}<|im_end|>\n<|im_start|>user\n")
    assert prompt.tail.startswith("<|im_end|>")
    assert not prompt.add_special_tokens
    bare = build_prompt(Checkpoint(minilm).tokenizer, system="S", prompt="P {genes}.")
    assert bare.fill("MBP") == "S\n\nP MBP."
    assert bare.add_special_tokens


def test_template_without_system_role(causal: Checkpoint):
    import copy

    tokenizer = copy.deepcopy(causal.tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    )
    assert build_prompt(tokenizer, system="S", prompt="P {genes}").fill("MBP") == "<user>S\n\nP MBP"


@pytest.mark.parametrize(("system", "prompt"), [("S", "no place"), ("S", "{genes} {genes}"), ("{genes}", "{genes}")])
def test_prompt_names_the_genes_once(system: str, prompt: str, causal: Checkpoint):
    with pytest.raises(ValueError, match="'{genes}' in it once"):
        build_prompt(causal.tokenizer, system=system, prompt=prompt)


def test_prompt_longer_than_the_model_reads(minilm: Path):
    checkpoint = Checkpoint(minilm, device="cpu")
    prompt = build_prompt(checkpoint.tokenizer, system="", prompt="{genes}")
    with pytest.raises(ValueError, match=r"reads 512. Lower n_top_genes"):
        PromptEncoder(checkpoint, prompt).encode([", ".join(["ENSG00000197971"] * 200)])


def test_join_genes_leaves_out_gaps_and_repeats():
    top = np.array([[2, 0, 1], [1, -1, -1], [-1, -1, -1]])
    assert join_genes(top, ["A", "B", "A"]) == ["A, B", "B", ""]
