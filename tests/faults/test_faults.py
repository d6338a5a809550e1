"""Processes killed at random moments lose nothing that was acknowledged, and leave nothing that is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# The long run: SCSEMST_KILLS=60 pytest tests/faults
KILLS = int(os.environ.get("SCSEMST_KILLS", "9"))


def test_kill_at_any_moment():
    command = [sys.executable, "-m", "tests.faults.harness", "--kills", str(KILLS)]
    # One thread: a fork has no threads but the one that forked
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout[done.stdout.index("{") :])
    kinds = [report[kind] for kind in ("caching", "saving", "training")]
    assert sum(kind["kills"] for kind in kinds) == KILLS
    assert sum(kind["died at work"] for kind in kinds) >= KILLS // 2, "most were killed while they worked"
    assert report["training"]["runs finished with the same bits"] >= 1
