"""The first command of the README: what it prints is measured, and it draws what it found."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.image
import pytest

from scsemst._cli import main


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["demo", "--output", str(tmp_path / "new"), "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    scores = {
        name: [float(value) for value in re.findall(r"(\d\.\d+) ± \d\.\d+", line)]
        for name in ("scsemst", "ten-line baseline")
        for line in printed.splitlines()
        if line.startswith(f"{name} ") and "±" in line
    }
    assert scores["scsemst"][0] >= 0.55
    assert scores["scsemst"][1] >= 0.65
    assert 0.3 < scores["ten-line baseline"][0] < 0.8
    path = tmp_path / "new" / "domains.png"
    assert str(path) in printed
    assert matplotlib.image.imread(path).std() > 0.1


def test_no_seed_is_no_demo():
    with pytest.raises(SystemExit, match="at least 1, found 0"):
        main(["demo", "--seeds", "0"])


def test_output_that_is_no_folder_is_found_before_the_run(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="There is no folder .*file"):
        main(["demo", "--output", str(tmp_path / "file")])
