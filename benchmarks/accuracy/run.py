"""The grid: which runs are wanted, which are missing, and the processes that make them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

from . import store
from .methods import METHODS
from .slices import REPOSITORY, SLICES, export_unlabelled, slice_path
from .store import Job

PYTHONPATH: list[str] = []
"""More places that methods are imported from."""
PEERS_PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"


def grid(methods: Sequence[str], slices: Sequence[str], settings: Sequence[str], seeds: Iterable[int]) -> list[Job]:
    """Return the jobs, method by method; a method without randomness runs once per setting that has none either."""
    jobs = []
    for method, name, setting, seed in product(methods, slices, settings, seeds):
        if seed and setting == "full" and not METHODS[method].random:
            continue
        jobs.append(Job(method, name, setting, seed))
    return jobs


def missing(jobs: Iterable[Job], root: Path = store.RAW, *, retry: bool = False) -> list[Job]:
    """Return the jobs without a result; those that failed before only if asked to."""
    return [job for job in jobs if not job.path(root).exists() and (retry or not job.error_path(root).exists())]


def run(jobs: Sequence[Job], *, root: Path = store.RAW, limit: int = 0, retry: bool = False) -> None:
    """Make the missing runs, each environment's in a process that never sees an annotation."""
    absent = sorted({job.slice for job in jobs if not slice_path(job.slice).exists()})
    if absent:
        print(f"Skipped, no data in {slice_path(absent[0]).parent}: {', '.join(absent)}.")
    wanted = [job for job in jobs if job.slice not in absent]
    todo = missing(wanted, root, retry=retry)
    print(f"{len(wanted)} runs, {len(wanted) - len(todo)} of them stored or known to fail.")
    commit = _commit()
    for environment, python in {"main": Path(sys.executable), "peers": PEERS_PYTHON}.items():
        group = [job for job in todo if METHODS[job.method].environment == environment]
        if group and not python.exists():
            print(f"Skipped {len(group)} runs of peers: run benchmarks/accuracy/setup_peers.sh first.")
            continue
        while group:
            for job in group:
                job.error_path(root).unlink(missing_ok=True)
            code = _work(python, group, root, limit, commit)
            group = missing(group, root)
            if code and group:  # died on the first that is left: go on behind it
                group[0].error_path(root).parent.mkdir(parents=True, exist_ok=True)
                group[0].error_path(root).write_text(f"the process died with exit status {code}\n")
                group = group[1:]
            elif code:
                break


def _work(python: Path, jobs: Sequence[Job], root: Path, limit: int, commit: str) -> int:
    described = [
        {
            "method": job.method,
            "target": METHODS[job.method].target,
            "name": job.slice,
            "slice": str(export_unlabelled(job.slice, root / "slices")),
            "n_domains": SLICES[job.slice].n_domains,
            "setting": job.setting,
            "seed": job.seed,
            "commit": commit,
            "output": str(job.path(root)),
            "error": str(job.error_path(root)),
        }
        for job in jobs
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"jobs": described, "limit": limit}, file)
        file.flush()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY), *PYTHONPATH]),
            "PYTHONWARNINGS": "ignore",
        }
        command = [str(python), "-m", "benchmarks.accuracy.worker", file.name]
        return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


def _commit() -> str:
    """Return the commit of the package's source, marked if it has changed since."""
    try:
        git = ["git", "-C", str(REPOSITORY)]
        head = subprocess.run([*git, "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
