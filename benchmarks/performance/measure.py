"""Seconds and peak memory of one case, in a fresh process.

A case is a function that imports, loads, and returns a function without arguments; only that second one is measured.
Peak memory is the highest resident set while it runs, and the same above what was resident before it started, which is
after import and loading.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results" / "performance"
RAW = REPOSITORY / "benchmarks" / "results" / "raw" / "performance"
PEERS_PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"
MIB = 2**20

_steps: dict[str, dict[str, float]] = {}
_peak = 0.0


def measure(
    target: str, *, python: Path | str = sys.executable, threads: int = 2, limit: float | None = None, **arguments: Any
) -> dict[str, Any]:
    """Run the case `target`, `"module:function"`, called with `arguments`, in a process of its own.

    Returns
    -------
    `seconds`, `cpu_seconds`, `peak_mib` of the whole process and `above_mib` above the baseline, `steps` where the case
    marks any, and whatever dictionary the measured function returned; or `error`.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])),
        "PYTHONWARNINGS": "ignore",
        "OMP_WAIT_POLICY": "passive",  # a thread that waits for another does not burn processor seconds
        **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")},
    }
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log.txt"
        command = [str(python), "-m", "benchmarks.performance.measure", target, json.dumps(arguments), str(answer)]
        with log.open("w") as file:
            try:
                code = subprocess.run(
                    command, cwd=REPOSITORY, env=environment, stdout=file, stderr=file, timeout=limit, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                return {"error": f"stopped after {limit:g} s", "load": [load, os.getloadavg()[0]]}
        if answer.exists():
            found = json.loads(answer.read_text())
        else:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            killed = code == -9
            found = {"error": "out of memory (killed)" if killed else (lines[-1] if lines else f"exit status {code}")}
    return {**found, "load": [load, os.getloadavg()[0]]}


@contextmanager
def step(name: str) -> Iterator[None]:
    """Note seconds and peak memory of a part of a case."""
    _reset_peak()
    before, cpu = time.perf_counter(), time.process_time()
    yield
    seen = {"seconds": time.perf_counter() - before, "cpu_seconds": time.process_time() - cpu, "peak_mib": _peak_mib()}
    _steps[name] = seen
    print(f"{name}: {seen['seconds']:.1f} s, {seen['peak_mib']:.0f} MiB", flush=True)


def setting(**values: Any) -> dict[str, Any]:
    """Describe where and with what a table was measured."""
    versions = {}
    for name in ("scsemst", "torch", "torch-geometric", "numpy", "scipy", "scanpy", "squidpy"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        **values,
        "commit": _commit(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": versions,
    }


def write(name: str, record: dict[str, Any], folder: Path = RESULTS) -> None:
    """Write a table's JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def _commit() -> str:
    """Return the commit of the package's source, marked if it has changed since."""
    git = ["git", "-C", str(REPOSITORY)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _status_mib(field: str) -> float | None:
    with suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return None


def _high_water_mib() -> float:
    """Return the highest resident set since the last reset, or since the process began where it cannot be reset."""
    found = _status_mib("VmHWM:")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB if found is None else found


def _reset_peak() -> None:
    global _peak
    _peak = max(_peak, _high_water_mib())
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak_mib() -> float:
    """Return the highest resident set since measuring began: at the end of a step, since the step began."""
    global _peak
    high = _high_water_mib()
    _peak = max(_peak, high)
    return high


def _work(target: str, arguments: dict[str, Any], answer: Path) -> None:
    """Run a case in this process."""
    global _peak
    module, function = target.split(":")
    case = getattr(importlib.import_module(module), function)(**arguments)
    # `step` belongs to the module that cases import, which is not this one, run as a script
    here = importlib.import_module("benchmarks.performance.measure")
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    here._reset_peak()
    here._peak = 0.0
    baseline = _status_mib("VmRSS:") or _high_water_mib()
    before, cpu = time.perf_counter(), time.process_time()
    result = case() or {}
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu
    here._peak_mib()
    record = {
        **result,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "baseline_mib": baseline,
        "peak_mib": here._peak,
        "above_mib": here._peak - baseline,
    }
    if here._steps:
        record["steps"] = here._steps
    answer.write_text(json.dumps(record))


if __name__ == "__main__":
    _work(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
