"""A folder that may be read and not written, as a user without special rights meets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Does everything once while folders can be written, so that all code is loaded before rights are given up: the
# interpreter itself may lie where others cannot read
SCRIPT = """
import os, sys, warnings
from pathlib import Path
import numpy as np
import scsemst
from scsemst._cli import main
from scsemst.language.cache import EmbeddingCache
from scsemst.language.encoders.cached import CachedEncoder
from tests.language.test_cache import LetterEncoder
from tests.slices import corner

folder, ordinary = Path(sys.argv[1]), int(sys.argv[2])
adata = corner()
model = scsemst.SemST.from_adata(adata.copy(), 2, epochs=1, progress=False)
model.save(folder / "model")
encoder = CachedEncoder(LetterEncoder(), EmbeddingCache(folder / "cache"))
known = encoder.encode(["SNAP25"])
before = scsemst.tl.predict(adata, scsemst.SemST.load(folder / "model"), copy=True)
for path in [*folder.rglob("*"), folder]:
    path.chmod(0o555 if path.is_dir() else 0o444)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(ordinary)
    os.setuid(ordinary)
if os.access(folder, os.W_OK):
    raise SystemExit("the folder can be written: nothing was tested")

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    vectors = encoder.encode(["SNAP25", "MOBP"])
np.testing.assert_array_equal(vectors[:1], known)
np.testing.assert_array_equal(vectors, LetterEncoder().encode(["SNAP25", "MOBP"]))
print("warned:", *{str(w.message) for w in caught if "cache" in str(w.message)})
try:
    model.save(folder / "model")
except OSError as error:
    print("not saved:", error)
try:
    EmbeddingCache(folder / "cache").clear()
except OSError as error:
    print("not cleared:", error)
scsemst.settings.cache_dir = folder / "cache"
try:
    main(["cache", "clear"])
except SystemExit as stop:
    print("said:", stop)
after = scsemst.tl.predict(adata, scsemst.SemST.load(folder / "model"), copy=True)
np.testing.assert_array_equal(before.obsm["X_semst"], after.obsm["X_semst"])
print("the old model is read")
"""
NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can reach, which pytest's are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    for inside in [path, *path.rglob("*")]:
        inside.chmod(0o755)
    shutil.rmtree(path)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of folders as POSIX has them")
def test_nothing_is_lost_and_the_reason_is_named(folder: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder), str(NOBODY)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert str(folder) in lines["warned"]
    assert str(folder) in lines["not saved"]
    assert "embeddings.sqlite" in lines["not cleared"]
    assert "Make the file and its folder writable" in lines["not cleared"]
    assert lines["said"] == f"scsemst cache clear: {lines['not cleared']}"
    assert "the old model is read" in done.stdout
