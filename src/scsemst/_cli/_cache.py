"""`scsemst cache`: what the package keeps on disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from .._settings import settings
from ..language.cache import FILE_NAME, cache_clear

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the command line."""
    cache = commands.add_parser("cache", help="show or clear what the package keeps on disk")
    actions = cache.add_subparsers(title="actions", required=True, metavar="action")
    actions.add_parser("info", help="show where the cache is and what it holds").set_defaults(run=info)
    actions.add_parser("clear", help="delete the cache").set_defaults(run=clear)


def info(args: argparse.Namespace) -> int:
    """Print the folder of the cache and the size of each entry."""
    print(settings.cache_dir)
    for entry in sorted(settings.cache_dir.glob("*")):
        files = _files(entry)
        print(f"  {entry.name}: {_readable(sum(file.stat().st_size for file in files))} in {len(files)} files")
    return 0


def clear(args: argparse.Namespace) -> int:
    """Delete what the cache holds; the folder itself stays."""
    before = sum(file.stat().st_size for file in _files(settings.cache_dir))
    try:
        _empty()
    except OSError as error:  # the message says what to do
        raise SystemExit(f"scsemst cache clear: {error}") from error
    freed = before - sum(file.stat().st_size for file in _files(settings.cache_dir))
    print(f"{settings.cache_dir}: {_readable(freed)} freed")
    return 0


def _empty() -> None:
    # SQLite empties its own file: to remove it under a process that writes to it could damage what that one writes
    cache_clear()
    for entry in settings.cache_dir.glob("*"):
        if entry.name.startswith(FILE_NAME):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _files(entry: Path) -> list[Path]:
    return [path for path in (entry.rglob("*") if entry.is_dir() else [entry]) if path.is_file()]


def _readable(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
