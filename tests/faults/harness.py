"""Kill processes at random moments while they write, and look at what is left.

`python -m tests.faults.harness --kills 30` kills thirty and prints a report. The libraries are loaded once; each victim
is a fork.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import resource
import signal
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst import SemST

Acknowledge = Callable[[str], None]


def victim(work: Callable[[Acknowledge], None], *, killed_after: float | None) -> tuple[list[str], int]:
    """Run `work` in a fork, kill it after so many seconds; return what it acknowledged, and its status."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            work(lambda what: os.write(writer, f"{what}\n".encode()))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader) as pipe:
        acknowledged = [line.strip() for line in pipe if line.endswith("\n")]
    return acknowledged, os.waitpid(child, 0)[1]


class Caching:
    """Vectors of texts, batch after batch: whatever `write` has returned from is there, whole and right."""

    def __init__(self, folder: Path) -> None:
        from scsemst.language.cache import EmbeddingCache

        self.cache, self.next, self.kept = EmbeddingCache(folder / "cache"), 0, 0

    @staticmethod
    def vectors(batch: int) -> np.ndarray:
        return np.full((20, 64), batch, dtype=np.float32) + np.arange(20)[:, None]

    def work(self, acknowledge: Acknowledge) -> None:
        for batch in range(self.next, self.next + 100_000):
            self.cache.write("encoder", [f"{batch} {i}" for i in range(20)], self.vectors(batch))
            acknowledge(str(batch))

    def check(self, acknowledged: list[str]) -> None:
        for batch in range(self.next, int(acknowledged[-1]) + 3 if acknowledged else self.next + 1):
            texts = [f"{batch} {i}" for i in range(20)]
            found = list(self.cache.read("encoder", texts))
            if str(batch) in acknowledged and not found:
                raise AssertionError(f"batch {batch} was acknowledged and is lost")
            for positions, vectors in found:
                np.testing.assert_array_equal(vectors, self.vectors(batch)[positions])
                if len(positions) != 20:
                    raise AssertionError(f"batch {batch} is torn")
        if self.cache.path.exists():
            with closing(sqlite3.connect(self.cache.path)) as connection:
                if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    raise AssertionError("the file is damaged")
        self.kept += len(acknowledged)
        self.next += len(acknowledged) + 3

    def finish(self) -> None:
        """Nothing is left to do."""


class Saving:
    """Two models, saved in turn to one folder: there is always one of them, and it is whole."""

    def __init__(self, folder: Path, models: list[SemST], adata: AnnData) -> None:
        self.folder, self.models, self.adata = folder / "model", models, adata
        self.models[0].save(self.folder)
        self.results = [self.result(model) for model in models]
        self.last, self.kept = 0, 0

    def result(self, model: SemST) -> str:
        import scsemst

        predicted = scsemst.tl.predict(self.adata, model, copy=True)
        return hashlib.sha256(
            predicted.obsm["X_semst"].tobytes() + "".join(predicted.obs["semst"]).encode()
        ).hexdigest()

    def work(self, acknowledge: Acknowledge) -> None:
        for i in range(self.last + 1, self.last + 100_000):
            self.models[i % 2].save(self.folder)
            acknowledge(str(i))

    def check(self, acknowledged: list[str]) -> None:
        import scsemst

        last = int(acknowledged[-1]) if acknowledged else self.last
        found = self.result(scsemst.SemST.load(self.folder))
        # The last one that was acknowledged, or the next, whose acknowledgement was killed
        if found not in (self.results[last % 2], self.results[(last + 1) % 2]):
            raise AssertionError("what is in the folder is neither model")
        self.last, self.kept = last + (found != self.results[last % 2]), self.kept + len(acknowledged)

    def finish(self) -> None:
        """Save once more, later: nothing of the killed ones is left."""
        for part in self.folder.glob(".*.part"):
            os.utime(part, (0, 0))
        self.models[0].save(self.folder)
        self.last = 0
        weights = list(self.folder.glob("model-*.safetensors"))
        if len(weights) != 1:
            raise AssertionError(f"{len(weights)} files of weights are left")
        if parts := list(self.folder.glob(".*.part")):
            raise AssertionError(f"{len(parts)} unfinished files are left")


class Training:
    """A run with a checkpoint after every step: killed as often as you like, it ends with the same bits."""

    def __init__(self, folder: Path, adata: AnnData) -> None:
        self.folder, self.adata, self.kept, self.steps, self.finished = folder / "checkpoint", adata, 0, 0, 0
        start = time.monotonic()
        self.expected = self.run(None)
        self.seconds = time.monotonic() - start

    def run(self, folder: Path | None) -> str:
        import scsemst

        options = {"epochs": 12, "batch_size": 40, "progress": False, "copy": True, "checkpoint_dir": folder}
        result = scsemst.tl.semst(self.adata, 2, checkpoint_minutes=0, **options)
        self.final = _steps(len(result.uns["semst"]["history"]["epoch"]), 0)
        return hashlib.sha256(result.obsm["X_semst"].tobytes() + "".join(result.obs["semst"]).encode()).hexdigest()

    def work(self, acknowledge: Acknowledge) -> None:
        from scsemst.training.checkpoint import Checkpoint

        save = Checkpoint.save

        def saved(checkpoint: Checkpoint, position: Any) -> None:
            save(checkpoint, position)
            acknowledge(str(_steps(len(position.history.terms.get("loss", [])), position.n_spots)))

        Checkpoint.save = saved
        acknowledge(f"result {self.run(self.folder)}")

    def check(self, acknowledged: list[str]) -> None:
        from scsemst._folders import read_folder
        from scsemst.training.checkpoint import CHECKPOINT

        self.kept += len(acknowledged)
        if acknowledged and acknowledged[-1].startswith("result"):
            self.require(acknowledged[-1].split()[1])
            self.steps = 0
            return
        self.steps = max([self.steps, *map(int, acknowledged)])
        if (self.folder / CHECKPOINT.config).exists():
            position = read_folder(self.folder, CHECKPOINT)[0]["position"]
            found = _steps(len(position["history"]["terms"].get("loss", [])), position["n_spots"])
            if found < self.steps:
                raise AssertionError(f"step {self.steps} was acknowledged, the checkpoint has {found}")
        elif self.steps and not self.was_done():
            raise AssertionError(f"step {self.steps} was acknowledged, there is no checkpoint")

    def was_done(self) -> bool:
        """Whether the run had ended: its checkpoint is then removed, and the next run starts anew."""
        done = self.steps >= self.final
        self.steps = 0 if done else self.steps
        return done

    def require(self, result: str) -> None:
        self.finished += 1
        if result != self.expected:
            raise AssertionError("a run that was killed ended with another result")

    def finish(self) -> None:
        """Let the last run end."""
        acknowledged, status = victim(self.work, killed_after=None)
        if status or not acknowledged:
            raise AssertionError(f"the last run failed with status {status}")
        self.require(acknowledged[-1].split()[1])


def _steps(epochs: int, n_spots: int) -> int:
    return 1000 * epochs + n_spots


def full_disk(saving: Saving) -> str:
    """Save where files cannot grow: an error, and the old model is still there."""

    def work(acknowledge: Acknowledge) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            saving.models[1].save(saving.folder)
        except OSError as error:
            acknowledge(type(error).__name__)

    acknowledged, _ = victim(work, killed_after=None)
    if acknowledged != ["OSError"]:
        raise AssertionError(f"a full disk gave {acknowledged}")
    saving.check([])
    if parts := list(saving.folder.glob(".*.part")):
        raise AssertionError(f"{len(parts)} unfinished files are left")
    return "OSError, the old model is whole"


def run(kills: int, seed: int) -> dict[str, Any]:
    """Kill so many processes, a third in each kind of work, and return a report."""
    import scsemst

    from ..slices import corner

    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    adata = corner(80, 60)
    models = [scsemst.SemST.from_adata(adata.copy(), k, epochs=1, progress=False) for k in (2, 3)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = Training(folder, adata)
        saving = Saving(folder, models, adata)
        works = {"caching": (Caching(folder), 0.4), "saving": (saving, 0.4), "training": (training, training.seconds)}
        report: dict[str, Any] = {}
        for i, (kind, (work, seconds)) in enumerate(works.items()):
            n = kills // 3 + (i < kills % 3)
            died = 0
            for _ in range(n):
                acknowledged, status = victim(work.work, killed_after=float(rng.uniform(0, seconds)))
                work.check(acknowledged)
                died += os.WIFSIGNALED(status)
            work.finish()
            report[kind] = {"kills": n, "died at work": died, "acknowledged and kept": work.kept}
        report["training"]["runs finished with the same bits"] = training.finished
        report["full disk while saving"] = full_disk(saving)
    return report


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(run(args.kills, args.seed), indent=1))


if __name__ == "__main__":
    main()
