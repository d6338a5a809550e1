"""The only place that reads annotations: stored runs in, `benchmarks/results/accuracy.csv` out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
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


def score_labels(labels: np.ndarray, truth: np.ndarray, coords: np.ndarray) -> dict[str, float]:
    """Score agreement on the spots with an annotation, compactness on all."""
    scores = {name: getattr(metrics, name)(labels, truth) for name in AGREEMENT}
    one = len(np.unique(labels)) < 2
    return scores | {name: np.nan if one else getattr(metrics, name)(labels, coords) for name in COMPACTNESS}


def score_latent(latent: np.ndarray, truth: np.ndarray, coords: np.ndarray) -> dict[str, float]:
    """Score a representation, if the method has one."""
    if latent.shape[1] == 0:
        return dict.fromkeys(REPRESENTATION, np.nan)
    purity = metrics.knn_purity(latent, truth)
    return {"knn_purity": purity, "spatial_probe": metrics.spatial_probe(latent, truth, coords)}


def score(root: Path = store.RAW, output: Path = CSV) -> pd.DataFrame:
    """Score what is new or changed among the stored runs, and write one row for each of all.

    Rows of runs that are not on this machine stay, and so do failures unless they succeeded since. The file is written
    after each slice.
    """
    rows = _known(output)
    by_slice: dict[str, list[store.Job]] = {}
    for job in store.jobs_stored(root):
        if job.slice in SLICES and slice_path(job.slice).exists():
            by_slice.setdefault(job.slice, []).append(job)
    for name, jobs in by_slice.items():
        new = {job: digest for job in jobs if rows.get(_key(job), {}).get("run") != (digest := _digest(job.path(root)))}
        if not new:
            continue
        print(f"{name}: {len(new)} runs", flush=True)
        adata = ad.read_h5ad(slice_path(name))
        truth = adata.obs[ANNOTATION].astype(object).to_numpy()
        coords = np.asarray(adata.obsm["spatial"], dtype=float)
        latents: dict[bytes, dict[str, float]] = {}  # many methods have one latent space for all seeds
        for job, digest in new.items():
            labels, latent, spots, record = store.load(job.path(root))
            same = hashlib.sha256(latent.tobytes() + spots.tobytes()).digest()
            if same not in latents:
                latents[same] = score_latent(latent, truth[spots], coords[spots])
            scores = score_labels(labels, truth[spots], coords[spots]) | latents[same]
            rows[_key(job)] = (
                dict(zip(KEYS, _key(job), strict=True))
                | {metric: round(value, 4) for metric, value in scores.items()}
                | {field: record[field] for field in ("n_domains", "n_found", "seconds", "cpu_seconds", "commit")}
                | {"n_spots": len(spots), "run": digest}
            )
        _write(rows, output)
    failed = output.with_name(output.stem + "_failed.csv")
    _merged(failures(root), failed, rows).to_csv(failed, index=False)
    print(f"{len(rows)} runs in {output}")
    return _write(rows, output)


def _key(job: store.Job) -> tuple[str, str, str, int]:
    return (job.method, job.slice, job.setting, job.seed)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def _write(rows: dict[tuple, dict[str, Any]], output: Path) -> pd.DataFrame:
    table = pd.DataFrame(list(rows.values())).sort_values(KEYS, ignore_index=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(output, index=False)
    return table


def failures(root: Path = store.RAW) -> pd.DataFrame:
    """Return the runs without a result, with the reason."""
    rows = []
    for path in sorted((root / "runs").glob("*/*/*.error.txt")):
        setting, seed = path.name.removesuffix(".error.txt").rsplit("-seed", 1)
        reason = path.read_text().split("\n\n")[0].replace("\n", ", ")
        rows.append((path.parent.parent.name, path.parent.name, setting, int(seed), reason[:200]))
    return pd.DataFrame(rows, columns=[*KEYS, "reason"])


def _merged(failed: pd.DataFrame, output: Path, succeeded: Collection[tuple]) -> pd.DataFrame:
    """Return the failures here and those that were known, without what has succeeded since."""
    if output.exists():
        failed = pd.concat([failed, pd.read_csv(output)]).drop_duplicates(KEYS)
    left = [key not in succeeded for key in zip(*(failed[name] for name in KEYS), strict=True)]
    return failed[left].sort_values(KEYS, ignore_index=True)


def _known(output: Path) -> dict[tuple, dict[str, Any]]:
    if not output.exists():
        return {}
    table = pd.read_csv(output, dtype={"run": str, "commit": str})
    return {tuple(row[name] for name in KEYS): row for row in table.to_dict("records")}
