"""Runs methods on slices that carry no annotation; a process of its own, in the interpreter the methods need.

python -m benchmarks.accuracy.worker JOBS.json
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

import anndata as ad
import numpy as np

from . import settings, store


class OutOfTime(TimeoutError):
    pass


def call(target: str, adata: ad.AnnData, n_domains: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Call `module:function` of the methods."""
    module, function = target.split(":")
    labels, latent = getattr(importlib.import_module(module), function)(adata, n_domains, seed)
    labels = np.unique(np.asarray(labels), return_inverse=True)[1]
    if labels.shape != (adata.n_obs,) or (latent is not None and len(latent) != adata.n_obs):
        raise ValueError(f"{target} returned {labels.shape} labels for {adata.n_obs} spots")
    return labels, latent


def run_job(job: dict, limit: int) -> None:
    """Run one job and store its result, or the reason there is none."""
    output, error = Path(job["output"]), Path(job["error"])
    whole = ad.read_h5ad(job["slice"])
    start = time.perf_counter()
    if limit:
        signal.alarm(limit)
    try:
        adata, rows = settings.apply(whole, job["setting"], job["seed"])
        start, cpu = time.perf_counter(), time.process_time()
        with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
            labels, latent = call(job["target"], adata, job["n_domains"], job["seed"])
    except Exception as problem:  # noqa: BLE001 a method that fails must not end the grid; the reason is stored
        seconds = time.perf_counter() - start
        error.parent.mkdir(parents=True, exist_ok=True)
        error.write_text(f"{type(problem).__name__}: {problem}\nafter {seconds:.0f} s\n\n{traceback.format_exc()}")
        return
    finally:
        signal.alarm(0)
    record = {
        **{key: job[key] for key in ("method", "setting", "seed", "n_domains", "commit")},
        "n_found": int(labels.max()) + 1,
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    }
    store.save(output, labels, latent, rows, record)
    error.unlink(missing_ok=True)


def _ring(*_: object) -> None:
    raise OutOfTime("the limit of this benchmark")


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGALRM, _ring)
    for i, job in enumerate(work["jobs"], start=1):
        if Path(job["output"]).exists():
            continue
        start = time.perf_counter()
        name = f"{job['method']} {job['name']} {job['setting']} seed {job['seed']}"
        run_job(job, work["limit"])
        outcome = "done" if Path(job["output"]).exists() else "FAILED, see " + job["error"]
        print(f"[{i}/{len(work['jobs'])}] {name}: {outcome} in {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
