from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scsemst.language.encoders import get_encoder
from scsemst.language.encoders.checkpoint import Checkpoint
from scsemst.language.encoders.huggingface import HuggingFaceEncoder

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "MBP: myelin basic protein. central nervous system myelination; axon ensheathment; substantia nigra development",
    "SNAP25",
    "GFAP: glial fibrillary acidic protein",
    "SNAP25",
    "PVALB: parvalbumin. cytosolic calcium ion homeostasis",
]


def reference(folder: Path, texts: list[str], pooling: str) -> np.ndarray:
    """One text at a time, by transformers alone."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        hidden = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0] for text in texts]
    return np.stack([(h.mean(dim=0) if pooling == "mean" else h[-1]).numpy() for h in hidden])


def test_batches_of_any_size_match_one_by_one(minilm: Path):
    vectors = get_encoder(minilm, batch_size=2, cache=False, device="cpu").encode(TEXTS)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors[1], vectors[3])
    np.testing.assert_allclose(vectors, reference(minilm, TEXTS, "mean"), atol=1e-5)


def test_last_token_of_a_causal_model(smollm2: Path):
    vectors = get_encoder(smollm2, pooling="last", cache=False, device="cpu").encode(TEXTS)
    np.testing.assert_allclose(vectors, reference(smollm2, TEXTS, "last"), atol=1e-4)


def test_gguf_gives_what_its_safetensors_give(smollm2: Path, smollm2_gguf: Path):
    gguf = get_encoder(smollm2_gguf, cache=False, device="cpu")
    assert "Q4_1.gguf" in gguf.id
    np.testing.assert_allclose(
        gguf.encode(["SNAP25"]), get_encoder(smollm2, cache=False, device="cpu").encode(["SNAP25"]), atol=1e-4
    )


def test_identity_follows_the_files_and_loads_no_weights(minilm: Path, tmp_path: Path):
    checkpoint = Checkpoint(minilm)
    encoder = HuggingFaceEncoder(checkpoint)
    assert encoder.id != HuggingFaceEncoder(checkpoint, pooling="last").id
    assert "model" not in vars(checkpoint)

    moved = shutil.copytree(minilm, tmp_path / minilm.name)
    assert Checkpoint(moved).id == checkpoint.id
    vocabulary = moved / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "gene\n")
    assert Checkpoint(moved).id != checkpoint.id


def test_second_run_makes_no_forward_pass(minilm: Path, monkeypatch: pytest.MonkeyPatch):
    first = get_encoder(minilm).encode(TEXTS)

    def fail(*_: object) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr(Checkpoint, "model", property(fail))
    np.testing.assert_array_equal(get_encoder(minilm).encode(TEXTS), first)


def test_half_precision_is_close(minilm: Path):
    full = get_encoder(minilm, cache=False, device="cpu").encode(TEXTS)
    half = get_encoder(minilm, cache=False, device="cpu", dtype="bfloat16").encode(TEXTS)
    cosine = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine.min() > 0.999


def test_long_texts_are_cut_at_what_the_model_reads(minilm: Path):
    text = "myelin " * 2000
    vectors = get_encoder(minilm, cache=False, device="cpu").encode([text, text + "sheath"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_pickled_weights_only_when_allowed(minilm: Path, tmp_path: Path):
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(minilm, tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(load_file(minilm / "model.safetensors"), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="allow_pickle=True only if you trust"):
        get_encoder(folder, cache=False).encode(["SNAP25"])
    allowed = get_encoder(folder, cache=False, device="cpu", allow_pickle=True).encode(["SNAP25"])
    np.testing.assert_allclose(allowed, get_encoder(minilm, cache=False, device="cpu").encode(["SNAP25"]), atol=1e-6)


def test_folder_without_tokenizer(minilm: Path, tmp_path: Path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(minilm / name, tmp_path)
    with pytest.raises(ValueError, match=r"has no tokenizer.*save_pretrained"):
        get_encoder(tmp_path, cache=False).encode(["SNAP25"])


def test_bad_input(minilm: Path, tmp_path: Path):
    encoder = get_encoder(minilm, cache=False)
    with pytest.raises(ValueError, match="Text 1 is empty"):
        encoder.encode(["SNAP25", "  "])
    with pytest.raises(ValueError, match="no texts"):
        encoder.encode([])
    with pytest.raises(TypeError, match="Text 0 is 3"):
        encoder.encode([3])
    with pytest.raises(ValueError, match="'median' is not one of 'mean', 'last'"):
        get_encoder(minilm, pooling="median")
    with pytest.raises(ValueError, match="no such folder"):
        get_encoder(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"'other.gguf' is not in"):
        get_encoder(minilm, gguf_file="other.gguf")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="Could not load the tokenizer"):
        get_encoder(tmp_path, cache=False).encode(["SNAP25"])


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"no local folder or file, and could not be fetched from the hub"):
        get_encoder("scsemst/no-such-model").encode(["SNAP25"])


def test_a_model_reads_no_more_than_it_can(minilm: Path):
    longest = get_encoder(minilm, cache=False).encode(["gene " * 700], progress=False)
    asked = get_encoder(minilm, max_length=600, cache=False).encode(["gene " * 700], progress=False)
    np.testing.assert_array_equal(asked, longest)
    for wrong, error in ((0, ValueError), (-1, ValueError), ("8", TypeError)):
        with pytest.raises(error, match="max_length"):
            get_encoder(minilm, max_length=wrong, cache=False)


def test_devices_that_are_not_there(minilm: Path):
    for device in ("banana", "cuda:99"):
        with pytest.raises(ValueError, match=rf"device='{device}' is not available here \(available: 'auto', 'cpu'"):
            get_encoder(minilm, device=device, cache=False).encode(["GFAP"])


def test_a_length_that_leaves_nothing(minilm: Path):
    for length in (1, 2):
        with pytest.raises(ValueError, match=f"max_length={length} leaves no token of a text.* adds 2 of its own"):
            get_encoder(minilm, max_length=length, cache=False).encode(["GFAP"])
    assert get_encoder(minilm, max_length=3, cache=False).encode(["GFAP", "MBP"]).shape == (2, 384)


def test_a_revision_of_a_folder(minilm: Path):
    with pytest.raises(ValueError, match="revision='main' is of the hub"):
        get_encoder(minilm, revision="main")
