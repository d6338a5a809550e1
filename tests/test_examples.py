"""The examples in the docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import logging
from typing import TYPE_CHECKING

import pytest

import scsemst

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = {
    f"{stage}.{name}": getattr(module, name)
    for stage in ("datasets", "metrics", "nn", "pl", "pp", "tl")
    for module in [getattr(scsemst, stage)]
    for name in getattr(module, "__all__", ())
} | {"settings": type(scsemst.settings)}


@pytest.fixture
def quiet_logs() -> Iterator[None]:
    """Keep squidpy's log, which goes to the stdout of whoever imported it first, out of the examples' output."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.usefixtures("quiet_logs")
def test_example(name: str):
    output: list[str] = []
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    tests = finder.find(OBJECTS[name], name, globs={})
    for test in tests:
        runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)
