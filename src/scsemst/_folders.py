"""Folders that hold tensors as safetensors and all else as JSON, written in one step and checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Format", "as_folder", "read_folder", "remove_folder", "write_file", "write_folder"]

_HOUR = 3600


class Format(NamedTuple):
    """What such a folder holds."""

    name: str
    version: int
    config: str
    """Name of the JSON file."""
    noun: str
    """What messages call it."""
    fix: str
    """What to do about damage."""

    def is_weights(self, name: str) -> bool:
        """Whether a file of that name holds tensors: named by content, so that one rename of the JSON switches to them."""
        return re.fullmatch(rf"{self.noun}-[0-9a-f]{{16}}\.safetensors", name) is not None


def write_folder(folder: Path, format: Format, info: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write to a folder, which is made if need be; a reader finds what was there or what is new, nothing between.

    Raises
    ------
    ValueError
        If the folder holds something else.
    """
    from safetensors.numpy import save

    require_ours(folder, format)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in tensors.items()}
    weights = save(arrays, metadata={"format": format.name})
    digest = hashlib.sha256(weights).hexdigest()
    name = f"{format.noun}-{digest[:16]}.safetensors"
    config = {
        "format": format.name,
        "format_version": format.version,
        "scsemst_version": version("scsemst"),
        "weights": name,
        "weights_sha256": digest,
        **info,
    }
    write_file(folder / name, weights)
    write_file(folder / format.config, json.dumps(config, default=_plain, indent=1).encode())
    for old in _weights(folder, format):
        if old.name != name:
            old.unlink(missing_ok=True)
    for part in _unfinished(folder, format):  # of processes that were killed; a young one may be another's at work
        if time.time() - part.stat().st_mtime > _HOUR:
            part.unlink(missing_ok=True)


def read_folder(folder: Path, format: Format) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what :func:`write_folder` wrote; nothing in it is executed.

    Raises
    ------
    FileNotFoundError
        If the folder, or what it should hold, is missing.
    ValueError
        If it holds something else, was written by a newer version, or is damaged.
    """
    config = _read_config(folder, format)
    return config, _read_tensors(folder, format, config)


def remove_folder(folder: Path, format: Format) -> None:
    """Remove what :func:`write_folder` wrote, and the folder if that leaves it empty."""
    (folder / format.config).unlink(missing_ok=True)
    for path in [*_weights(folder, format), *_unfinished(folder, format)]:
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def as_folder(folder: str | Path, *, name: str = "folder") -> Path:
    """Return a path, or raise a `TypeError` that says what was found instead."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"{name} must be a path, found {folder!r} of type {type(folder).__name__}.")
    return Path(folder)


def require_ours(folder: Path, format: Format) -> None:
    """Raise unless the folder is free to be written to: absent, or without a JSON of another kind."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file. Pass the name of a folder.")
    path = folder / format.config
    try:
        found = json.loads(path.read_text("utf-8")) if path.exists() else {"format": format.name}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("format") != format.name:
        raise ValueError(
            f"{str(folder)!r} has a {format.config} that is not of a scsemst {format.noun}. Pass another folder."
        )


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", suffix=".part", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _unfinished(folder: Path, format: Format) -> list[Path]:
    return [path for name in (format.config, format.noun) for path in folder.glob(f".{name}-*.part")]


def _weights(folder: Path, format: Format) -> Iterator[Path]:
    if folder.is_dir():
        yield from [path for path in folder.iterdir() if format.is_weights(path.name)]


def _read_config(folder: Path, format: Format) -> dict[str, Any]:
    path = folder / format.config
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}. {format.fix}")
    if not path.is_file():
        raise FileNotFoundError(f"{str(folder)!r} has no {format.noun} ({format.config} is missing). {format.fix}")
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # of JSON and of Unicode
        raise ValueError(f"{str(path)!r} is damaged: {error}. {format.fix}") from error
    if not isinstance(config, dict) or config.get("format") != format.name:
        raise ValueError(f"{str(path)!r} is not of a scsemst {format.noun}. {format.fix}")
    found = config.get("format_version")
    if not isinstance(found, int):
        raise ValueError(f"{str(path)!r} is damaged: it has no format_version. {format.fix}")
    if found > format.version:
        raise ValueError(
            f"{str(folder)!r} was written by a newer version, scsemst {config.get('scsemst_version', '?')} (format "
            f"{found}); scsemst {version('scsemst')} reads formats up to {format.version}. Upgrade scsemst."
        )
    return config


def _read_tensors(folder: Path, format: Format, config: dict[str, Any]) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    name = config.get("weights")
    if not isinstance(name, str) or not format.is_weights(name):  # never a path to elsewhere
        raise ValueError(f"{str(folder / format.config)!r} is damaged: weights={name!r} is no name of weights.")
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{str(path)!r}, the weights of the {format.noun}, is missing. Copy the whole folder. {format.fix}"
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != config.get("weights_sha256"):
        raise ValueError(f"{str(path)!r} is damaged: it is not what {format.config} was written with. {format.fix}")
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}. {format.fix}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(value: Any) -> Any:
    """Turn numpy values into what JSON has."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")
