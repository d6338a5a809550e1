"""The examples in the docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import logging

import pytest

import scsemst

OBJECTS = {
    f"{stage}.{name}": getattr(module, name)
    for stage in ("datasets", "metrics", "nn", "pl", "pp", "tl")
    for module in [getattr(scsemst, stage)]
    for name in getattr(module, "__all__", ())
} | {"settings": type(scsemst.settings)}


@pytest.mark.parametrize("name", OBJECTS)
def test_example(name: str, monkeypatch: pytest.MonkeyPatch):
    # squidpy's log goes to the stdout of whoever imports it first
    monkeypatch.setattr(logging.root.manager, "disable", logging.INFO)
    output: list[str] = []
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    tests = finder.find(OBJECTS[name], name, globs={})
    for test in tests:
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)
