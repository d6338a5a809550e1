"""The batches of a slice, built when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import sparse

from scsemst.graphs import feature_graph

from .batch import Batch, make_batch
from .expression import Expression
from .partition import partition, surroundings
from .slices import Slices

__all__ = ["BATCH_SIZE", "Batches", "automatic_batch_size"]

# Fixed, not what happens to be free: the same data shall give the same result on every machine.
_FULL_BATCH_BYTES = 3e9
BATCH_SIZE = 8192


def automatic_batch_size(n_spots: int, n_genes: int, width: int) -> int:
    """Return all spots if a step over them would take up to about 3 GB, else 8192."""
    per_spot = 4 * (24 * width + 6 * min(n_genes, 600))
    return n_spots if n_spots * per_spot <= _FULL_BATCH_BYTES else min(BATCH_SIZE, n_spots)


@dataclass
class Batches(Sequence[Batch]):
    """Parts of a slice with their surroundings, as tensors.

    One part keeps its tensors. Several are built anew each time, but with `keep` those on a GPU stay there until half of
    its memory is taken.

    The spatial view of a part's spots is exact, thanks to the surroundings. The graph of spots with like expression is
    built within each batch: a spot finds its like among the thousands of spots around it, not in the whole slice.
    """

    expression: Expression
    spatial: sparse.csr_matrix
    projected: np.ndarray | None
    """Principal components in which spots of like expression are found; no such graph without."""
    semantics: Any
    """One row for each spot, an array or what is indexed like one; `None` without."""
    gene_mixing: sparse.csr_matrix | None
    batch_size: int
    n_neighbors: int
    normalization: str
    device: torch.device
    slices: Slices | None = None
    keep: bool = True
    parts: list[np.ndarray] = field(init=False)
    """Core spots of each batch."""

    def __post_init__(self) -> None:
        n = self.expression.n_spots
        self.parts = partition(self.spatial, -(-n // self.batch_size))
        self.degree = np.asarray(self.spatial.sum(axis=1)).ravel() + 1.0
        self._feature_graphs: dict[int, sparse.csr_matrix] = {}
        self._kept: dict[int, Batch] = {}

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, i: int) -> Batch:  # type: ignore[override]  # one at a time
        if not 0 <= i < len(self):
            raise IndexError(i)
        if i in self._kept:
            return self._kept[i]
        core = self.parts[i]
        spots = np.concatenate([core, surroundings(self.spatial, core)])
        inputs, targets = self.expression.rows(spots)
        batch = make_batch(
            inputs,
            sparse.csr_matrix(targets[: core.size]),
            self.expression.log_library(core),
            sparse.csr_matrix(self.spatial[spots][:, spots]),
            self._feature_graph(i, spots),
            None if self.semantics is None else self.semantics[spots],
            core=core.size,
            gene_mixing=self.gene_mixing,
            degree=self.degree[spots],
            normalization=self.normalization,
            codes=None if self.slices is None else self.slices.codes[spots],
        ).to(self.device)
        if len(self) == 1 or self._has_room():
            self._kept[i] = batch
        return batch

    def _has_room(self) -> bool:
        """Return whether batches may stay on the device: building one takes longer than a GPU takes for its step."""
        if not self.keep or self.device.type != "cuda":
            return False
        free, total = torch.cuda.mem_get_info(self.device)
        return free > total / 2

    def _feature_graph(self, i: int, spots: np.ndarray) -> sparse.csr_matrix | None:
        if self.projected is None:
            return None
        if i not in self._feature_graphs:
            self._feature_graphs[i] = feature_graph(self.projected[spots], self.n_neighbors)
        return self._feature_graphs[i]
