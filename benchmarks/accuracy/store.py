"""Where runs are kept: one file each, written at once, never overwritten unasked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .slices import RESULTS

RAW = RESULTS / "raw" / "accuracy"


@dataclass(frozen=True)
class Job:
    method: str
    slice: str
    setting: str
    seed: int

    def path(self, root: Path = RAW) -> Path:
        return root / "runs" / self.method / self.slice / f"{self.setting}-seed{self.seed}.npz"

    def error_path(self, root: Path = RAW) -> Path:
        return self.path(root).with_suffix(".error.txt")


def save(path: Path, labels: np.ndarray, latent: np.ndarray | None, rows: np.ndarray, record: dict[str, Any]) -> None:
    """Write a run; `labels` and `latent` are of the spots in `rows`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    latent = np.zeros((rows.size, 0)) if latent is None else np.asarray(latent)
    with temporary.open("wb") as file:  # a name that numpy does not extend
        np.savez_compressed(
            file,
            labels=np.asarray(labels).astype(np.int16),
            latent=latent.astype(np.float32),
            rows=rows.astype(np.int32),
            record=json.dumps(record),
        )
    temporary.rename(path)


def load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """Return labels, latent, rows and record."""
    with np.load(path, allow_pickle=False) as file:
        return file["labels"], file["latent"], file["rows"], json.loads(str(file["record"]))


def jobs_stored(root: Path = RAW) -> list[Job]:
    """Return every run there is."""
    found = []
    for path in sorted((root / "runs").glob("*/*/*.npz")):
        setting, seed = path.stem.rsplit("-seed", 1)
        found.append(Job(path.parent.parent.name, path.parent.name, setting, int(seed)))
    return found
