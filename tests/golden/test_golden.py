"""Results do not change unnoticed, and are the same to the bit in another process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ..slices import corner
from .renew import GOLDEN, RUNS, runs, summary

# Between the sets of dependencies and processors: a step of Adam amplifies what the last digits differ by
TOLERANCE = {"loss": 5e-4, "spread": 2e-2, "distances": 5e-2, "lengths": 1e-4, "share_of_counts": 1e-6}

OTHER_PROCESS = """
import json, os, random, numpy, torch
torch.set_num_threads(int(os.environ["TORCH_THREADS"]))
random.seed(5); numpy.random.seed(5); torch.manual_seed(5); torch.randn(7); numpy.random.rand(7)
from tests.golden.test_golden import bits
print(json.dumps(bits()))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return summary()


def expected() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", ["semantics", *RUNS])
def test_small_runs_give_what_they_gave(found: dict[str, Any], name: str):
    """Where a change is meant: `python -m tests.golden.renew`, and say why in the changelog."""
    assert expected()[name].keys() == found[name].keys()
    for key, value in expected()[name].items():
        if key == "labels":
            assert adjusted_rand_score(list(value), list(found[name][key])) >= 0.9
        elif key in TOLERANCE:
            np.testing.assert_allclose(found[name][key], value, rtol=TOLERANCE[key], err_msg=key)
        else:
            assert found[name][key] == value


def test_the_file_would_notice_a_change(found: dict[str, Any]):
    """Every comparison is sharper than the difference between two kinds of run."""
    one, other = found["default"], found["no semantics"]
    assert not np.allclose(one["loss"][:5], other["loss"][:5], rtol=2 * TOLERANCE["loss"])
    assert one["labels"] != other["labels"] or not np.allclose(one["distances"], other["distances"], rtol=0.05)


def bits() -> dict[str, dict[str, str]]:
    """Hash each run's input, representation and labels, so that a difference says where it is."""
    found = {}
    for name, result in runs(corner()).items():
        parts = {
            "semantics": result.obsm["X_gene_semantics"],
            "graph": result.obsp["spatial_connectivities"].data,
            "loss": result.uns["semst"]["history"]["loss"],
            "representation": result.obsm["X_semst"],
            "labels": np.asarray(result.obs["semst"].cat.codes),
        }
        found[name] = {
            key: hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()[:16] for key, part in parts.items()
        }
    return found


def test_another_process_gives_the_same_bits():
    """After other random numbers, with other hashes of strings, other threads of numpy, and as many of torch as here."""
    import torch

    torch.set_num_threads(torch.get_num_threads())  # MKL's as well, which an earlier import may have set otherwise
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"PYTHONHASHSEED": "77", "OPENBLAS_NUM_THREADS": "1", "TORCH_THREADS": str(torch.get_num_threads())}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OTHER_PROCESS],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env=environment,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == bits()
