"""Where the real language models of the tests are."""

from __future__ import annotations

import os
from pathlib import Path

MODELS = Path(
    os.environ.get("SCSEMST_TEST_MODELS", Path(__file__).resolve().parents[1] / ".cache" / "models")
).expanduser()
SMOLLM2_GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def model_folder(name: str) -> Path:
    """Return the folder of a model (`"minilm"`, `"smollm2"`, `"smollm2-gguf"`), or raise: the tests need it."""
    folder = MODELS / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing. Run python scripts/fetch_test_weights.py first.")
    return folder
