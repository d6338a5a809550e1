from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import scsemst
from scsemst._cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    (folder / "texts" / "deep").mkdir(parents=True)
    (folder / "texts" / "deep" / "vectors.npy").write_bytes(b"x" * 1500)
    (folder / "notes.txt").write_text("kept by nobody")
    monkeypatch.setattr(scsemst.settings, "cache_dir", folder)
    return folder


def test_info_names_the_folder_and_each_entry(cache: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(cache),
        "  notes.txt: 14 B in 1 files",
        "  texts: 2 kB in 1 files",
    ]


def test_clear_empties_the_folder_and_nothing_beside_it(cache: Path, capsys: pytest.CaptureFixture[str]):
    beside = cache.parent / "beside.txt"
    beside.write_text("not ours")
    (cache / "link").symlink_to(beside.parent, target_is_directory=True)
    assert main(["cache", "clear"]) == 0
    assert list(cache.iterdir()) == []
    assert beside.read_text() == "not ours"
    assert "2 kB freed" in capsys.readouterr().out


def test_a_missing_cache_is_an_empty_one(cache: Path, capsys: pytest.CaptureFixture[str]):
    scsemst.settings.cache_dir = cache / "nowhere"
    assert main(["cache", "info"]) == main(["cache", "clear"]) == 0
    assert "0 B freed" in capsys.readouterr().out
