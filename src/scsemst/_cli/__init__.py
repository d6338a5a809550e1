"""The command line: one module per command, each with `add_parser`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .. import __version__
from . import _cache, _demo, _train

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

COMMANDS = (_demo, _train, _cache)


def parser() -> argparse.ArgumentParser:
    """Build the parser; a command adds itself and sets `run`, a function of the parsed arguments."""
    root = argparse.ArgumentParser(prog="scsemst", description="Spatial domains from gene meaning.")
    root.add_argument("--version", action="version", version=f"scsemst {__version__}")
    commands = root.add_subparsers(title="commands", required=True, metavar="command")
    for command in COMMANDS:
        command.add_parser(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    args = parser().parse_args(argv)
    return args.run(args)
