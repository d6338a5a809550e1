"""A trained model as a folder: weights as safetensors, all else as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from .genes import GeneSpace
from .modules import build_module, describe_module
from .parts import Parts, Rotation
from .readout import Linear

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONFIG", "FORMAT_VERSION", "load_parts", "save_parts"]

CONFIG = "config.json"
FORMAT = "scsemst.SemST"
FORMAT_VERSION = 1
# Named by content: the one rename of the JSON, which names the weights, takes a folder from the old model to the new.
_WEIGHTS = re.compile(r"model-[0-9a-f]{16}\.safetensors")


def save_parts(parts: Parts, folder: str | Path) -> None:
    """Write a model to a folder, which is made if need be; a reader finds the old model or the new one, nothing between.

    Raises
    ------
    ValueError
        If the folder holds something else than a model of this package.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file. Pass the name of a folder.")
    if (folder / CONFIG).exists() and not _is_ours(folder / CONFIG):
        raise ValueError(f"{str(folder)!r} has a {CONFIG} that is not of a scsemst model. Pass another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.ascontiguousarray(array) for name, array in _tensors(parts).items()}
    weights = save(tensors, metadata={"format": FORMAT})
    digest = hashlib.sha256(weights).hexdigest()
    name = f"model-{digest[:16]}.safetensors"
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "scsemst_version": version("scsemst"),
        "weights": name,
        "weights_sha256": digest,
        "module": describe_module(parts.module),
        "genes": list(parts.genes.names),
        "n_readouts": len(parts.readout),
        "space": parts.space,
        "options": parts.options,
        "record": parts.record,
    }
    _write(folder / name, weights)
    _write(folder / CONFIG, json.dumps(config, default=_plain, indent=1).encode())
    for old in folder.iterdir():
        if _WEIGHTS.fullmatch(old.name) and old.name != name:
            old.unlink(missing_ok=True)


def load_parts(folder: str | Path) -> Parts:
    """Read a model from a folder; nothing in it is executed.

    Raises
    ------
    FileNotFoundError
        If the folder, or a model in it, is missing.
    ValueError
        If it is not a model of this package, was written by a newer version, or is damaged.
    """
    folder = Path(folder)
    config = _read_config(folder)
    tensors = _read_tensors(folder, config)
    try:
        return _assemble(config, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        reason = " ".join(str(error).split())  # torch lists what is missing over several lines
        raise ValueError(f"The model in {str(folder)!r} is damaged: {reason}. Save it again.") from error


def _tensors(parts: Parts) -> dict[str, np.ndarray]:
    tensors = {f"module.{name}": tensor.cpu().numpy() for name, tensor in parts.module.state_dict().items()}
    tensors |= {f"genes.{name}": np.asarray(getattr(parts.genes, name)) for name in ("share", "columns", "means")}
    tensors |= {"rotation.center": parts.rotation.center, "rotation.axes": parts.rotation.axes}
    for i, linear in enumerate(parts.readout):
        tensors |= {f"readout.{i}.weight": linear.weight, f"readout.{i}.bias": linear.bias}
    if parts.transfer is not None:
        tensors |= {"transfer.weight": parts.transfer.weight, "transfer.bias": parts.transfer.bias}
    if parts.loadings is not None:
        tensors["loadings"] = parts.loadings
    if parts.mixing is not None:
        tensors |= {f"mixing.{name}": getattr(parts.mixing, name) for name in ("data", "indices", "indptr")}
    return tensors


def _assemble(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> Parts:
    import torch

    module = build_module(config["module"])
    prefix = "module."
    state = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    genes = GeneSpace(config["genes"], *(tensors.pop(f"genes.{name}") for name in ("share", "columns", "means")))
    n_genes = len(genes.columns)
    if len(genes.share) != len(genes.names) or n_genes != config["module"]["in_channels"]:
        raise ValueError("the numbers of genes differ")
    mixing = None
    if "mixing.data" in tensors:
        arrays = tuple(tensors.pop(f"mixing.{name}") for name in ("data", "indices", "indptr"))
        mixing = sparse.csr_matrix(arrays, shape=(n_genes, n_genes))
    return Parts(
        module=module,
        genes=genes,
        loadings=tensors.pop("loadings", None),
        mixing=mixing,
        rotation=Rotation(tensors.pop("rotation.center"), tensors.pop("rotation.axes")),
        readout=[_linear(tensors, f"readout.{i}") for i in range(config["n_readouts"])],
        transfer=_linear(tensors, "transfer") if "transfer.weight" in tensors else None,
        space=config["space"],
        options=config["options"],
        record=_with_arrays(config["record"]),
    )


def _linear(tensors: dict[str, np.ndarray], name: str) -> Linear:
    return Linear(tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.bias"))


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}. Save a model with model.save(folder) first.")
    if not path.is_file():
        raise FileNotFoundError(f"{str(folder)!r} has no model ({CONFIG} is missing). Was it saved with model.save?")
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # of JSON and of Unicode
        raise ValueError(f"{str(path)!r} is damaged: {error}. Save the model again.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} is not of a scsemst model.")
    found = config.get("format_version")
    if not isinstance(found, int):
        raise ValueError(f"{str(path)!r} is damaged: it has no format_version. Save the model again.")
    if found > FORMAT_VERSION:
        raise ValueError(
            f"{str(folder)!r} was written by a newer version, scsemst {config.get('scsemst_version', '?')} (format "
            f"{found}); scsemst {version('scsemst')} reads formats up to {FORMAT_VERSION}. Upgrade scsemst."
        )
    return config


def _read_tensors(folder: Path, config: dict[str, Any]) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    name = config.get("weights")
    if not isinstance(name, str) or not _WEIGHTS.fullmatch(name):  # never a path to elsewhere
        raise ValueError(f"{str(folder / CONFIG)!r} is damaged: weights={name!r} is no name of weights.")
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r}, the weights of the model, is missing. Copy the whole folder.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != config.get("weights_sha256"):
        raise ValueError(f"{str(path)!r} is damaged: it is not what {CONFIG} was written with. Save the model again.")
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}. Save the model again.") from error


def _is_ours(path: Path) -> bool:
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError:
        return False
    return isinstance(config, dict) and config.get("format") == FORMAT


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(value: Any) -> Any:
    """Turn numpy values into what JSON has."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def _with_arrays(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its history as arrays, as training wrote it."""
    return {**record, "history": {name: np.asarray(values) for name, values in record["history"].items()}}
