"""How much faster is `pp.spot_semantics` than a plain loop, for the same vectors?

200 spots of the demo slice, SmolLM2-135M in float32 on the CPU, `preset="paper"`. Four ways, in one run, each from
nothing but the slice and the model's folder to the vectors, so that loading the model counts:

- loop, as such scripts are commonly written: the whole causal model with its output head and all hidden states kept,
  batches in input order, padded to the longest, nothing shared, nothing kept
- the same loop around the model without its output head, a stricter comparison
- `pp.spot_semantics`, nothing in its cache
- `pp.spot_semantics` again, from its cache

Write `benchmarks/results/spot_semantics.json` and print a table:

    python benchmarks/language/spot_semantics.py [--model FOLDER] [--spots 200] [--batch-size 8] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

import scsemst
from scsemst.language.prompts import PAPER_PROMPT, PAPER_SYSTEM

if TYPE_CHECKING:
    from anndata import AnnData

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "X_spot_semantics"


def spot_prompts(adata: AnnData, tokenizer: object) -> list[str]:
    """Write each spot's prompt: its ten most expressed genes in the model's chat template."""
    names = adata.var_names.to_numpy(dtype=str)
    by_name = np.argsort(names, kind="stable")
    prompts = []
    for row in adata.X.toarray():
        genes = by_name[np.argsort(-row[by_name], kind="stable")[:10]]
        messages = [
            {"role": "system", "content": PAPER_SYSTEM},
            {"role": "user", "content": PAPER_PROMPT.replace("{genes}", ", ".join(names[genes]))},
        ]
        prompts.append(tokenizer.apply_chat_template(messages, tokenize=False))
    return prompts


def loop(adata: AnnData, folder: Path, batch_size: int, *, head: bool) -> tuple[np.ndarray, float, float]:
    """Encode the spots batch by batch; return vectors, wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = (AutoModelForCausalLM if head else AutoModel).from_pretrained(folder, dtype=torch.float32).eval()
    prompts = spot_prompts(adata, tokenizer)
    vectors = []
    for start in range(0, len(prompts), batch_size):
        tokens = tokenizer(
            prompts[start : start + batch_size], padding=True, add_special_tokens=False, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = model(**tokens, output_hidden_states=True).hidden_states[-1]
        mask = tokens["attention_mask"].unsqueeze(-1)
        vectors.append((hidden * mask).sum(dim=1) / mask.sum(dim=1))
    return torch.cat(vectors).numpy(), time.perf_counter() - wall, time.process_time() - cpu


def package(adata: AnnData, folder: Path, batch_size: int) -> tuple[np.ndarray, float, float]:
    """Call `pp.spot_semantics`; return vectors, wall and processor seconds."""
    adata = adata.copy()
    wall, cpu = time.perf_counter(), time.process_time()
    scsemst.pp.spot_semantics(adata, model=folder, preset="paper", batch_size=batch_size, device="cpu", progress=False)
    return adata.obsm[KEY], time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=REPOSITORY / ".cache" / "models" / "smollm2")
    parser.add_argument("--spots", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "spot_semantics.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    adata = scsemst.datasets.dlpfc()[: args.spots].copy()

    with tempfile.TemporaryDirectory() as cache:
        scsemst.settings.cache_dir = cache
        loop(adata[:2], args.model, 2, head=True)  # imports what all of them import
        runs = {
            "spot_semantics": package(adata, args.model, args.batch_size),
            "spot_semantics, again": package(adata, args.model, args.batch_size),
            "loop": loop(adata, args.model, args.batch_size, head=True),
            "loop without output head": loop(adata, args.model, args.batch_size, head=False),
        }

    reference, wall, cpu = runs["loop"]
    rows = {
        name: {
            "seconds": round(run[1], 2),
            "cpu_seconds": round(run[2], 2),
            "times_faster": round(wall / run[1], 2),
            "times_less_cpu": round(cpu / run[2], 2),
            "max_difference": float(np.abs(run[0] - reference).max()),
        }
        for name, run in runs.items()
    }
    print("| | seconds | CPU seconds | times faster | times less CPU | max difference |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in row.values()) + " |")
    setting = {
        "spots": args.spots,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("scsemst", "torch", "transformers")},
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"setting": setting, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
