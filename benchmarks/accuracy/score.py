"""The only place that reads annotations: stored runs in, `benchmarks/results/accuracy.csv` out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from scsemst import metrics

from . import store
from .slices import RESULTS, SLICES, slice_path

ANNOTATION = "ground_truth"
CSV = RESULTS / "accuracy.csv"
KEYS = ["method", "slice", "setting", "seed"]
AGREEMENT = ["ari", "nmi", "homogeneity", "completeness"]
COMPACTNESS = ["chaos", "pas", "spatial_asw"]
REPRESENTATION = ["knn_purity", "spatial_probe"]
METRICS = [*AGREEMENT, *COMPACTNESS, *REPRESENTATION]


def score_run(labels: np.ndarray, latent: np.ndarray, truth: np.ndarray, coords: np.ndarray) -> dict[str, float]:
    """Score the spots that a run labelled: agreement on those of them with an annotation, compactness on all."""
    scores = {name: getattr(metrics, name)(labels, truth) for name in AGREEMENT}
    scores |= dict.fromkeys(COMPACTNESS + REPRESENTATION, np.nan)
    if len(np.unique(labels)) > 1:
        scores |= {name: getattr(metrics, name)(labels, coords) for name in COMPACTNESS}
    if latent.shape[1]:
        scores["knn_purity"] = metrics.knn_purity(latent, truth)
        scores["spatial_probe"] = metrics.spatial_probe(latent, truth, coords)
    return scores


def score(root: Path = store.RAW, output: Path = CSV) -> pd.DataFrame:
    """Score what is new or changed among the stored runs, and write one row for each of all."""
    known = _known(output)
    rows: list[dict[str, Any]] = []
    jobs = sorted(store.jobs_stored(root), key=lambda job: job.slice)
    truth = coords = None
    loaded = ""
    for i, job in enumerate(jobs, start=1):
        digest = hashlib.sha256(job.path(root).read_bytes()).hexdigest()[:10]
        key = (job.method, job.slice, job.setting, job.seed)
        if key in known and known[key]["run"] == digest:
            rows.append(known[key])
            continue
        if job.slice not in SLICES or not slice_path(job.slice).exists():
            continue
        if job.slice != loaded:
            adata = ad.read_h5ad(slice_path(job.slice))
            truth = adata.obs[ANNOTATION].astype(object).to_numpy()
            coords = np.asarray(adata.obsm["spatial"], dtype=float)
            loaded = job.slice
            print(f"[{i}/{len(jobs)}] {job.slice}", flush=True)
        labels, latent, spots, record = store.load(job.path(root))
        scores = score_run(labels, latent, truth[spots], coords[spots])
        rows.append(
            dict(zip(KEYS, key, strict=True))
            | {name: round(value, 4) for name, value in scores.items()}
            | {name: record[name] for name in ("n_domains", "n_found", "seconds", "cpu_seconds", "commit")}
            | {"n_spots": len(spots), "run": digest}
        )
    # Rows scored elsewhere stay: their runs need not be on this machine
    seen = {tuple(row[name] for name in KEYS) for row in rows}
    rows += [row for key, row in known.items() if key not in seen]
    table = pd.DataFrame(rows).sort_values(KEYS, ignore_index=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(output, index=False)
    failures(root).to_csv(output.with_name(output.stem + "_failed.csv"), index=False)
    print(f"{len(table)} runs in {output}")
    return table


def failures(root: Path = store.RAW) -> pd.DataFrame:
    """Return the runs without a result, with the reason."""
    rows = []
    for path in sorted((root / "runs").glob("*/*/*.error.txt")):
        setting, seed = path.name.removesuffix(".error.txt").rsplit("-seed", 1)
        reason = path.read_text().split("\n\n")[0].replace("\n", ", ")
        rows.append((path.parent.parent.name, path.parent.name, setting, int(seed), reason[:200]))
    return pd.DataFrame(rows, columns=[*KEYS, "reason"])


def _known(output: Path) -> dict[tuple, dict[str, Any]]:
    if not output.exists():
        return {}
    table = pd.read_csv(output, dtype={"run": str, "commit": str})
    return {tuple(row[name] for name in KEYS): row for row in table.to_dict("records")}
