"""What does a GPU change?

`tl.semst` on this machine's GPU and on its processor, imports and a small run before, each case after the other:

- `slice`: DLPFC 151673, 3000 variable genes, semantics included, to seven domains, which the processor finds
- `latent`: the same to the latent space only; `paper`, `bf16`: the same with `preset="paper"`, and in bfloat16
- tiled slices (see `data.py`) of 300 genes, to the latent space

Write `benchmarks/results/performance/gpu.json`, with the agreement of both devices' domains, and print a table:

    python -m benchmarks.performance.gpu [--spots 200000 1000000] [--cpu-spots 200000]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from .data import N_DOMAINS, prepared, tiled_path, with_inputs, write_tiled
from .measure import MIB, setting, write

SLICE: dict[str, dict[str, Any]] = {
    "slice": {"n_domains": N_DOMAINS},
    "latent": {},
    "paper": {"preset": "paper"},
    "bf16": {"precision": "bf16"},
}


def tissue(n_spots: int):
    """Return a tiled slice with squidpy's graph and semantics."""
    import anndata as ad

    if not tiled_path(n_spots).exists():
        write_tiled(n_spots)()
    return with_inputs(ad.read_h5ad(tiled_path(n_spots)))


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


def main() -> None:
    import torch
    from sklearn.metrics import adjusted_rand_score

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--cpu-spots", type=int, nargs="*", default=[200_000], help="sizes to run without the GPU too")
    args = parser.parse_args()
    described = setting(gpu=torch.cuda.get_device_name(), threads=torch.get_num_threads())
    rows: list[dict[str, Any]] = []

    def add(case: str, adata, devices: list[str], **options: Any) -> None:
        labels = {}
        for device in devices:
            row = {"case": case, "n_spots": adata.n_obs, "device": device, **fit(adata, device, **options)}
            labels[device] = row.pop("labels", None)
            if all(labels.get(name) for name in ("cuda", "cpu")):
                row["ari_to_cuda"] = adjusted_rand_score(labels["cuda"], labels["cpu"])
            print(row, flush=True)
            rows.append(row)
            write("gpu", {"setting": described, "rows": rows})

    adata = prepared()
    for device in ("cuda", "cpu"):
        fit(adata[:300].copy(), device, epochs=1, n_domains=3)  # imports and compiles all
    for case, options in SLICE.items():
        add(case, adata, ["cuda", "cpu"], **options)
    for n_spots in args.spots:
        adata = tissue(n_spots)
        add("tissue", adata, ["cuda", *(["cpu"] if n_spots in args.cpu_spots else [])])


if __name__ == "__main__":
    main()
