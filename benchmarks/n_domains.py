"""How often `tl.n_domains` finds the annotated number of domains, give or take one.

    python -m benchmarks.n_domains [--slices NAME ...] [--rep components|semst] [--seed 0]

The number is chosen on unlabelled copies of the slices; the annotated one is only compared with it. What is in
`benchmarks/results/n_domains.json` already is kept, so the command can be stopped and called again.
"""

from __future__ import annotations

import argparse
import json
import time

import anndata as ad
import numpy as np

import scsemst

from .accuracy.methods.ten_lines import components
from .accuracy.slices import RESULTS, SLICES, slice_path, unlabelled

OUTPUT = RESULTS / "n_domains.json"
CONSTANTS = range(2, 13)


def representation(adata: ad.AnnData, rep: str, seed: int) -> np.ndarray:
    """Principal components of spatially averaged expression, or the latent space of `tl.semst`."""
    if rep == "components":
        return components(adata, n_components=20, target_sum=1e4)
    from .accuracy.methods.semst import default

    return default(adata, None, seed)[1]


def run(name: str, rep: str, seed: int) -> dict[str, object]:
    adata = unlabelled(ad.read_h5ad(slice_path(name)))
    adata = adata[np.asarray(adata.X.sum(axis=1)).ravel() > 0].copy()
    z = representation(adata, rep, seed)
    carrier = ad.AnnData(shape=(adata.n_obs, 0), obsm={"X": z})
    start = time.perf_counter()
    chosen = scsemst.tl.n_domains(carrier, use_rep="X", rng=seed, progress=False)
    seconds = time.perf_counter() - start
    scores = carrier.uns["n_domains"]["scores"].round(4).to_dict("list")
    return {"slice": name, "rep": rep, "seed": seed, "chosen": chosen, "seconds": round(seconds, 1), "scores": scores}


def table(runs: list[dict[str, object]]) -> str:
    runs = [run for run in runs if SLICES[run["slice"]].averaged]
    lines = [
        "| slice | representation | seed | annotated | chosen | within 1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in runs:
        known = SLICES[row["slice"]].n_domains
        hit = "yes" if abs(row["chosen"] - known) <= 1 else "no"
        lines.append(
            f"| {SLICES[row['slice']].title} | {row['rep']} | {row['seed']} | {known} | {row['chosen']} | {hit} |"
        )
    known = np.array([SLICES[row["slice"]].n_domains for row in runs])
    chosen = np.array([row["chosen"] for row in runs])
    constant = max(CONSTANTS, key=lambda k: int((np.abs(known - k) <= 1).sum()))
    for label, values in (("chosen", chosen), (f"always {constant}, the best constant", np.full_like(known, constant))):
        off = np.abs(values - known)
        lines.append(
            f"\n{label}: within 1 on {int((off <= 1).sum())} of {len(runs)}, exact on {int((off == 0).sum())}, "
            f"mean distance {off.mean():.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", nargs="+", choices=SLICES, default=[n for n in SLICES if SLICES[n].averaged])
    parser.add_argument("--rep", choices=["components", "semst"], default="components")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    done = {(row["slice"], row["rep"], row["seed"]) for row in runs}
    for name in options.slices:
        if (name, options.rep, options.seed) in done:
            continue
        if not slice_path(name).exists():
            print(f"{name}: {slice_path(name)} is missing, skipped")
            continue
        runs.append(run(name, options.rep, options.seed))
        print(f"{name}: {runs[-1]['chosen']} ({SLICES[name].n_domains} annotated)", flush=True)
        OUTPUT.write_text(json.dumps(runs, indent=1) + "\n")
    print(table([row for row in runs if row["rep"] == options.rep]))


if __name__ == "__main__":
    main()
