"""Several slices at once: joint against separate runs, corrected against uncorrected.

    python -m benchmarks.slices [--groups NAME ...] [--seeds 3]

Slices of one study are joined by `anndata.concat`, with squidpy's graph built slice by slice (`library_key`). Compared are
a run on each slice alone, one run on all without `batch_key=`, one with it, and one with harmony on its latent space.
Annotations are read to score only. Mixing is iLISI by harmonypy: the effective number of slices among a spot's
neighbours in the latent space (perplexity 30), mean over spots; 1 is no mixing. Runs in `benchmarks/results/slices.json`
are kept, so the command can be stopped and called again; delete the file after a change of the model.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import cache

if __name__ == "__main__":  # before numpy is imported, and not where a test imports this
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import anndata as ad
import numpy as np
import pandas as pd
import squidpy as sq
from harmonypy.lisi import compute_lisi

import scsemst
from scsemst import metrics

from .accuracy.methods.semst import likelihood
from .accuracy.slices import RESULTS, SLICES, slice_path, unlabelled

OUTPUT = RESULTS / "slices.json"
KEY = "slice"
GROUPS = {
    "MERFISH hypothalamus": ("merfish_0.04", "merfish_0.09", "merfish_0.14"),
    "STARmap mPFC": ("starmap_mpfc_BZ5", "starmap_mpfc_BZ9"),
}
WAYS = {
    "separate": "each slice alone",
    "uncorrected": "joint, no `batch_key=`",
    "corrected": "joint, `batch_key=`",
    "harmony": 'joint, `batch_key=`, `integrate="harmony"`',
}


@cache
def load(name: str) -> tuple[ad.AnnData, pd.Series]:
    """A slice without annotation, and the annotation."""
    full = ad.read_h5ad(slice_path(name))
    adata = unlabelled(full)
    adata.obs_names = pd.Index([f"{name}-{spot}" for spot in adata.obs_names], dtype=object)
    return prepare(adata), full.obs["ground_truth"]


def prepare(adata: ad.AnnData, **options: str) -> ad.AnnData:
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6, **options)
    scsemst.pp.gene_semantics(adata)
    return adata


@cache
def joint(names: tuple[str, ...]) -> ad.AnnData:
    slices = {name: load(name)[0] for name in names}
    adata = ad.concat(slices, label=KEY, join="inner")
    adata.obs[KEY] = adata.obs[KEY].astype("category")
    return prepare(adata, library_key=KEY)


def semst(adata: ad.AnnData, n_domains: int, seed: int, **options: str) -> ad.AnnData:
    call = {"likelihood": likelihood(adata), "rng": seed, "progress": False, "copy": True, **options}
    return scsemst.tl.semst(adata, n_domains, **call)


def run(group: str, way: str, seed: int) -> dict[str, object]:
    names = GROUPS[group]
    k = SLICES[names[0]].n_domains
    start = time.perf_counter()
    if way == "separate":
        labels = [semst(load(name)[0], k, seed).obs["semst"] for name in names]
        lisi = None
    else:
        options = {} if way == "uncorrected" else {"batch_key": KEY}
        if way == "harmony":
            options["integrate"] = "harmony"
        done = semst(joint(names), k, seed, **options)
        labels = [done.obs["semst"][done.obs[KEY] == name] for name in names]
        lisi = float(compute_lisi(done.obsm["X_semst"], done.obs, [KEY]).mean())
    ari = [metrics.ari(found.to_numpy(), load(name)[1]) for found, name in zip(labels, names, strict=True)]
    seconds = time.perf_counter() - start
    return {"group": group, "way": way, "seed": seed, "ari": ari, "lisi": lisi, "seconds": round(seconds, 1)}


def spread(values: np.ndarray) -> str:
    """Mean ± standard deviation over seeds."""
    return f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else "")


def table(runs: list[dict[str, object]]) -> str:
    lines = ["| slices | run | ARI, mean over slices | ARI by slice | iLISI | seeds |", "| --- " * 6 + "|"]
    for group, names in GROUPS.items():
        for way, title in WAYS.items():
            part = [row for row in runs if (row["group"], row["way"]) == (group, way)]
            if not part:
                continue
            ari = np.array([row["ari"] for row in part])
            by_slice = ", ".join(f"{value:.3f}" for value in ari.mean(axis=0))
            means = ari.mean(axis=1)
            lisi = "–"
            if part[0]["lisi"] is not None:
                lisi = f"{spread(np.array([row['lisi'] for row in part]))} of {len(names)}"
            lines.append(f"| {len(names)} × {group} | {title} | {spread(means)} | {by_slice} | {lisi} | {len(part)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    runs = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    done = {(row["group"], row["way"], row["seed"]) for row in runs}
    for group in options.groups:
        for seed in range(options.seeds):
            for way in options.ways:
                if (group, way, seed) not in done:
                    runs.append(run(group, way, seed))
                    print(*runs[-1].values(), flush=True)
                    OUTPUT.write_text(json.dumps(runs, indent=0) + "\n")
    print(table(runs))


if __name__ == "__main__":
    main()
