"""How far to average over neighbours where spots are few: crops of slices that have many.

    python -m benchmarks.crops [--n-spots 250 350 700] [--way components model]

`components` averages expression three times, each spot with a given share of what its neighbours would have among thousands
of spots (all of it: 1), takes 20 principal components and clusters them: what the rule of the default preset was chosen
by. `model` is `tl.semst` with that rule and without, on other crops: how it does. Crops are round, of slices that are
not small themselves; K is the number of classes that make up 5 % of a crop at least. Labels tell K and score, nothing
else. Runs in `benchmarks/results/crops.json` are kept, so the command can be stopped and called again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from functools import cache

if __name__ == "__main__":  # before numpy is imported, and not where a test imports this
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import anndata as ad
import numpy as np
import pandas as pd

from scsemst import metrics
from scsemst.domains.consensus import fit_consensus
from scsemst.training import PRESETS

from .accuracy.methods.semst_ablations import fit
from .accuracy.methods.ten_lines import averaged_components, logged
from .accuracy.slices import RESULTS, SLICES, slice_path, unlabelled

OUTPUT = RESULTS / "crops.json"
KEYS = ["way", "n_spots", "slice", "crop", "setting"]
SHARES = (1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)
RULES = (0, PRESETS["default"].enough_spots)
CROPS = {"components": range(5), "model": range(10, 13)}
SOURCES = [name for name in SLICES if not name.startswith(("demo", "her2st", "olfactory"))]


@cache
def annotated(name: str) -> ad.AnnData:
    return ad.read_h5ad(slice_path(name))


def crop(name: str, n_spots: int, number: int) -> tuple[ad.AnnData, np.ndarray, int] | None:
    """Return the spots around a random one, without annotation; their annotation; and K, if it is 2 at least."""
    full = annotated(name)
    coords = np.asarray(full.obsm["spatial"], dtype=float)
    center = coords[np.random.default_rng(number).integers(full.n_obs)]
    part = full[np.argsort(((coords - center) ** 2).sum(axis=1))[:n_spots]].copy()
    k = int((part.obs["ground_truth"].value_counts(normalize=True) > 0.05).sum())
    if k < 2 or part.obs["ground_truth"].notna().sum() < 100:
        return None
    adata = unlabelled(part)
    adata = adata[:, np.asarray((adata.X > 0).sum(axis=0)).ravel() >= 3]
    filled = np.asarray(adata.X.sum(axis=1)).ravel() > 0
    return adata[filled].copy(), part.obs["ground_truth"].astype(object).to_numpy()[filled], k


def results(way: str, adata: ad.AnnData, k: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield setting, labels and latent space."""
    if way == "model":
        for rule in RULES:
            yield rule, *fit(adata, k, 0, enough_spots=rule)
        return
    x = logged(adata, target_sum=1e4)
    for share in SHARES:
        z = averaged_components(x, adata.obsm["spatial"], 20, share)
        yield round(share, 3), fit_consensus(z, k, n_init=20, rng=0), z


def run(way: str, n_spots: int, name: str, number: int) -> list[dict[str, object]]:
    found = crop(name, n_spots, number)
    if found is None:
        return []
    adata, truth, k = found
    return [
        dict(zip(KEYS, (way, n_spots, name, number, setting), strict=True))
        | {"ari": round(metrics.ari(labels, truth), 4), "knn_purity": round(metrics.knn_purity(z, truth), 4)}
        for setting, labels, z in results(way, adata, k)
    ]


def table(runs: pd.DataFrame) -> str:
    """ARI and kNN purity, mean over crops, then slices, then studies."""
    runs = runs.assign(study=runs["slice"].map(lambda name: SLICES[name].study))
    means = runs.groupby(["way", "n_spots", "setting", "study", "slice"])[["ari", "knn_purity"]].mean()
    means = means.groupby(["way", "n_spots", "setting", "study"]).mean().groupby(["way", "n_spots", "setting"]).mean()
    counts = runs.groupby(["way", "n_spots", "setting"]).size()
    lines = ["| way | spots | setting | ARI | kNN purity | crops |", "| --- " * 6 + "|"]
    for (way, n_spots, setting), row in means.iterrows():
        n = counts[way, n_spots, setting]
        lines.append(f"| {way} | {n_spots} | {setting:g} | {row['ari']:.3f} | {row['knn_purity']:.3f} | {n} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-spots", nargs="+", type=int, default=[250, 350, 700])
    parser.add_argument("--way", nargs="+", choices=CROPS, default=list(CROPS))
    options = parser.parse_args()
    runs = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    done = {tuple(row[key] for key in KEYS[:4]) for row in runs}
    for way in options.way:
        for n_spots in options.n_spots:
            for name in SOURCES:
                if not slice_path(name).exists():
                    print(f"{name}: {slice_path(name)} is missing, skipped")
                    continue
                for number in CROPS[way]:
                    if (way, n_spots, name, number) not in done:
                        runs += run(way, n_spots, name, number)
                        OUTPUT.write_text(json.dumps(runs, indent=0) + "\n")
                print(way, n_spots, name, flush=True)
    print(table(pd.DataFrame(runs)))


if __name__ == "__main__":
    main()
