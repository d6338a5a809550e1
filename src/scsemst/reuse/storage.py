"""A trained model as a folder: weights as safetensors, all else as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scsemst._checks import require_in, require_integer, require_string
from scsemst._folders import Format, as_folder, read_folder, write_folder
from scsemst.training.model import LIKELIHOODS

from .genes import GeneSpace
from .modules import build_module, describe_module
from .parts import Parts, Rotation
from .readout import Linear

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MODEL", "load_parts", "save_parts"]

MODEL = Format("scsemst.SemST", 1, "config.json", "model", "Save the model again with model.save(folder).")


def save_parts(parts: Parts, folder: str | Path) -> None:
    """Write a model to a folder, which is made if need be; a reader finds the old model or the new one, nothing between.

    Raises
    ------
    ValueError
        If the folder holds something else than a model of this package.
    """
    info = {
        "module": describe_module(parts.module),
        "genes": list(parts.genes.names),
        "n_readouts": len(parts.readout),
        "space": parts.space,
        "options": parts.options,
        "record": parts.record,
    }
    write_folder(as_folder(folder), MODEL, info, _tensors(parts))


def load_parts(folder: str | Path) -> Parts:
    """Read a model from a folder; nothing in it is executed.

    Raises
    ------
    FileNotFoundError
        If the folder, or a model in it, is missing.
    ValueError
        If it is not a model of this package, was written by a newer version, or is damaged.
    """
    config, tensors = read_folder(as_folder(folder), MODEL)
    try:
        return _assemble(config, tensors)
    except Exception as error:
        reason = " ".join(str(error).split())  # torch lists what is missing over several lines
        raise ValueError(f"The model in {str(folder)!r} is damaged: {reason}. {MODEL.fix}") from error


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
    module.load_state_dict({name: torch.tensor(array) for name, array in state.items()}, assign=True)
    if not all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in module.parameters()):
        raise ValueError("some weights are no finite numbers in single precision")
    genes = GeneSpace(config["genes"], *(tensors.pop(f"genes.{name}") for name in ("share", "columns", "means")))
    n_genes = len(genes.columns)
    if len(genes.share) != len(genes.names) or n_genes != config["module"]["in_channels"]:
        raise ValueError("the numbers of genes differ")
    if not all(isinstance(name, str) for name in genes.names):
        raise TypeError("some genes have no name")
    n_readouts = require_integer(config["n_readouts"], name="n_readouts", minimum=0, maximum=100)
    if config["space"] is not None:
        require_string(config["space"], name="space")
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
        readout=[_linear(tensors, f"readout.{i}") for i in range(n_readouts)],
        transfer=_linear(tensors, "transfer") if "transfer.weight" in tensors else None,
        space=config["space"],
        options=_checked(config["options"]),
        record=_with_arrays(config["record"]),
    )


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of training, or raise unless each is what training could have had."""
    require_in(options["likelihood"], LIKELIHOODS, name="likelihood")
    require_in(options["normalization"], ("row", "sym"), name="normalization")
    options.setdefault("enough_spots", 0)  # saved before there was such a rule
    if options.setdefault("normalize", None) not in (None, True, False):
        raise TypeError(f"normalize must be true or false, found {options['normalize']!r}")
    counts = {"enough_spots": 0, "n_top_genes": 1, "n_neighbors": 1, "semantic_hops": 0, "readout_hops": 0}
    for name, minimum in counts.items():
        require_integer(options[name], name=name, minimum=minimum)
    if options["batch_size"] is not None:
        require_integer(options["batch_size"], name="batch_size", minimum=1)
    for name in ("semantics_key", "batch_key"):
        if options.get(name) is not None:
            require_string(options[name], name=name)
    for batch in options.get("batches") or ():
        if not isinstance(batch, str):
            raise TypeError(f"batches must be names, found {batch!r}")
    return options


def _linear(tensors: dict[str, np.ndarray], name: str) -> Linear:
    return Linear(tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.bias"))


def _with_arrays(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its history as arrays, as training wrote it."""
    if not isinstance(record.get("semantics", {}), dict):
        raise TypeError("the record of the semantics is none")
    return {**record, "history": {name: np.asarray(values) for name, values in record["history"].items()}}
