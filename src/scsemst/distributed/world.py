"""The processes that train together, and what they tell each other."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["World", "join"]

# A process that fails is noticed by torchrun, which ends the others; one that works may take hours
_TIMEOUT = timedelta(days=7)


@dataclass(frozen=True)
class World:
    """A process among all of them. Messages are tensors: nothing is pickled."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")
    """Where this process computes."""

    @property
    def leads(self) -> bool:
        """Whether this process does what only one has to do."""
        return self.rank == 0

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of all processes' arrays."""
        tensor = torch.tensor(np.asarray(array))
        if self.size > 1:
            tensor = tensor.to(self._wire)
            dist.all_reduce(tensor)
        return tensor.cpu().numpy()

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by the sum of all processes' gradients."""
        if self.size == 1:
            return
        parameters = list(parameters)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([g.flatten() for g in gradients]).to(self._wire)
        dist.all_reduce(flat)
        parts = flat.to(gradients[0].device).split([g.numel() for g in gradients])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def share(
        self, info: dict[str, Any] | None = None, arrays: dict[str, np.ndarray] | None = None
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what the leading process passes: values that JSON has, and arrays."""
        from safetensors.numpy import load, save

        if self.size == 1:
            return info or {}, arrays or {}
        payload = torch.empty(0, dtype=torch.uint8)
        if self.leads:
            text = np.frombuffer(json.dumps(info or {}, default=np.ndarray.tolist).encode(), dtype=np.uint8)
            content = save({"info": text, **{f"array.{k}": np.ascontiguousarray(v) for k, v in (arrays or {}).items()}})
            payload = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        length = torch.tensor([payload.numel()]).to(self._wire)
        dist.broadcast(length, src=0)
        payload = payload.to(self._wire) if self.leads else payload.new_empty(int(length), device=self._wire)
        dist.broadcast(payload, src=0)
        found = load(payload.cpu().numpy().tobytes())
        info = json.loads(found.pop("info").tobytes())
        return info, {name.removeprefix("array."): array for name, array in found.items()}

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.size > 1:
            dist.barrier()

    @property
    def _wire(self) -> torch.device:
        """Where nccl and gloo want their tensors."""
        return self.device if dist.get_backend() == "nccl" else torch.device("cpu")


@contextmanager
def join(device: str) -> Iterator[World]:
    """Join the other processes if torchrun started some; GPUs of a machine are dealt to its processes.

    Processes that have a GPU each talk through nccl; those that share one talk through gloo, as nccl refuses to.

    Parameters
    ----------
    device
        As in :func:`scsemst.tl.semst`.
    """
    from scsemst._device import resolve_device

    found = resolve_device(device)
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield World(device=found)
        return
    backend = "gloo"
    if found.type == "cuda":
        n_gpus = torch.cuda.device_count()
        found = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % n_gpus)
        torch.cuda.set_device(found)
        backend = "nccl" if int(os.environ.get("LOCAL_WORLD_SIZE", 1)) <= n_gpus else "gloo"
    dist.init_process_group(backend, timeout=_TIMEOUT)
    try:
        yield World(dist.get_rank(), size, found)
    finally:
        dist.destroy_process_group()
