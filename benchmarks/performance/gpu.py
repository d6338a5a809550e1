"""What does a GPU change?

`tl.semst` on this machine's GPU and on its processor, imports and a small run before, each case after the other:

- `slice`: DLPFC 151673, 3000 variable genes, semantics included, to seven domains, which the processor finds
- `latent`: the same to the latent space only; `paper`, `bf16`: the same with `preset="paper"`, and in bfloat16
- `prompts`: `pp.spot_semantics` of that slice with a small language model, where `--model` names its folder
- tiled slices (see `data.py`) of 300 genes, to the latent space

Write `benchmarks/results/performance/gpu.json`, with the agreement of both devices' domains:

    python -m benchmarks.performance.gpu [--spots 200000 1000000] [--cpu-spots 200000] [--model FOLDER]

With `--batches SPOTS`, train a tiled slice in parts instead, with batches that are `kept` on the GPU and with batches
`rebuilt` for each step, each twice, and write `gpu_batches.json`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any
from unittest import mock

from .data import N_DOMAINS, prepared, tiled_path, with_inputs, write_tiled
from .measure import MIB, setting, write

SLICE: dict[str, dict[str, Any]] = {
    "slice": {"n_domains": N_DOMAINS},
    "latent": {},
    "paper": {"preset": "paper"},
    "bf16": {"precision": "bf16"},
}

PART = 8192


def tissue(n_spots: int):
    """Return a tiled slice with squidpy's graph and semantics."""
    import anndata as ad

    if not tiled_path(n_spots).exists():
        write_tiled(n_spots)()
    return with_inputs(ad.read_h5ad(tiled_path(n_spots)))


def read(adata, device: str, model: str) -> dict[str, Any]:
    """Return seconds and peak memory of the GPU; after a few prompts, so that imports do not count."""
    import torch

    import scsemst

    options = {"model": model, "device": device, "cache": False, "progress": False, "copy": True}
    scsemst.pp.spot_semantics(adata[:64].copy(), **options)
    torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    found = scsemst.pp.spot_semantics(adata, **options)
    row: dict[str, Any] = {"seconds": time.perf_counter() - begin, "encoder": found.uns["X_spot_semantics"]["encoder"]}
    return row | ({"gpu_mib": torch.cuda.max_memory_allocated() / MIB} if device == "cuda" else {})


def fit(adata, device: str, **options: Any) -> dict[str, Any]:
    """Return seconds, peak memory of the GPU and, where there are any, labels."""
    import torch

    import scsemst

    options |= {"device": device, "progress": False, "copy": True}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    found = scsemst.tl.semst(adata, **options)
    row: dict[str, Any] = {"seconds": time.perf_counter() - begin}
    record = found.uns["semst"]
    row |= {"epochs": int(record["stopped_epoch"]), "batch_size": int(record["params"]["batch_size"])}
    if device == "cuda":
        row["gpu_mib"] = torch.cuda.max_memory_allocated() / MIB
    if "n_domains" in options:
        row["labels"] = found.obs["semst"].cat.codes.tolist()
    return row


class Record:
    """Rows measured on one machine, written after each."""

    def __init__(self, name: str) -> None:
        import torch

        self.name = name
        self.setting = setting(gpu=torch.cuda.get_device_name(), threads=torch.get_num_threads())
        self.rows: list[dict[str, Any]] = []

    def add(self, case: str, adata, device: str, measured: dict[str, Any]) -> None:
        """Add a row."""
        row = {"case": case, "n_spots": adata.n_obs, "device": device, **measured}
        print(row, flush=True)
        self.rows.append(row)
        write(self.name, {"setting": self.setting, "rows": self.rows})


def compare_devices(spots: list[int], cpu_spots: list[int], model: str | None) -> None:
    """Measure everything on the GPU and on the processor."""
    from sklearn.metrics import adjusted_rand_score

    record = Record("gpu")
    adata = prepared()
    for device in ("cuda", "cpu"):
        fit(adata[:300].copy(), device, epochs=1, n_domains=3)  # imports and compiles all
    for case, options in SLICE.items():
        found = {device: fit(adata, device, **options) for device in ("cuda", "cpu")}
        labels = [row.pop("labels") for row in found.values() if "labels" in row]
        if labels:
            found["cpu"]["ari_to_cuda"] = adjusted_rand_score(*labels)
        for device, row in found.items():
            record.add(case, adata, device, row)
    if model:
        for device in ("cuda", "cpu"):
            record.add("prompts", adata, device, read(adata, device, model))
    for n_spots in spots:
        adata = tissue(n_spots)
        for device in ("cuda", *(["cpu"] if n_spots in cpu_spots else [])):
            record.add("tissue", adata, device, fit(adata, device))


def compare_batches(n_spots: int) -> None:
    """Measure training in parts with batches that stay on the GPU, and with batches built for each step."""
    from scsemst.training.batches import Batches

    record = Record("gpu_batches")
    adata = tissue(n_spots)
    fit(adata[:3000].copy(), "cuda", epochs=1)  # imports and compiles all
    for case in ("kept", "rebuilt", "kept", "rebuilt"):
        with mock.patch.object(Batches, "_has_room", return_value=case == "kept"):
            record.add(case, adata, "cuda", fit(adata, "cuda", batch_size=PART))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--cpu-spots", type=int, nargs="*", default=[200_000], help="sizes to run without the GPU too")
    parser.add_argument("--model", help="folder of a language model")
    parser.add_argument("--batches", type=int, metavar="SPOTS", help="compare ways to keep batches, and nothing else")
    args = parser.parse_args()
    if args.batches:
        compare_batches(args.batches)
    else:
        compare_devices(args.spots, args.cpu_spots, args.model)


if __name__ == "__main__":
    main()
