"""What one training step reads, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from scsemst.nn import Observed, SparseInput, SpotGraph

__all__ = ["Batch", "make_batch"]


@dataclass
class Batch:
    """Some spots (the core) with all that the encoder needs to see of their surroundings."""

    x: SparseInput
    """Log-normalised expression of core and surroundings."""
    spatial_graph: SpotGraph
    feature_graph: SpotGraph | None
    semantics: Tensor | None
    core: slice
    """Rows of the core: the others only inform them."""
    observed: Observed
    """Counts of the core."""
    log_library: Tensor | None
    """Of the core."""
    edge_index: Tensor
    """Pairs of spatial neighbours within the core, numbered within it."""
    codes: Tensor | None = None
    """Slice of each spot of core and surroundings, where there are several."""

    def to(self, device: torch.device) -> Batch:
        """Move to a device, in place."""
        for part in (self.x, self.spatial_graph, self.feature_graph, self.observed):
            if part is not None:
                part.to(device)
        self.semantics, self.log_library, self.codes = (
            None if t is None else t.to(device) for t in (self.semantics, self.log_library, self.codes)
        )
        self.edge_index = self.edge_index.to(device)
        return self


def make_batch(
    inputs: sparse.csr_matrix,
    targets: sparse.csr_matrix,
    log_library: np.ndarray | None,
    spatial: sparse.csr_matrix,
    feature: sparse.csr_matrix | None,
    semantics: np.ndarray | None,
    *,
    core: int,
    gene_mixing: sparse.csr_matrix | None = None,
    degree: np.ndarray | None = None,
    normalization: str = "row",
    codes: np.ndarray | None = None,
) -> Batch:
    """Turn matrices of a batch's spots, core first, into tensors.

    Parameters
    ----------
    inputs
        Log-normalised expression of all `n` spots of the batch, shape `(n, n_genes)`.
    targets
        Counts of the core, shape `(core, n_genes)`.
    log_library
        Natural log of the core's library sizes, shape `(core,)`.
    spatial
        Spatial graph between the batch's spots, shape `(n, n)`.
    feature
        Expression graph between the batch's spots, shape `(n, n)`.
    semantics
        Semantic vectors, shape `(n, n_features)`.
    core
        Number of core spots.
    gene_mixing
        See :func:`~scsemst.graphs.gene_mixing`.
    degree
        Degrees in the whole graph, self-loop included, if `spatial` is a part of it; shape `(n,)`.
    normalization
        See :class:`scsemst.nn.SpotGraph`.
    codes
        Slice of each spot, where there are several, shape `(n,)`.
    """
    edges = np.stack(spatial[:core, :core].nonzero()).astype(np.int64)
    return Batch(
        x=SparseInput(inputs, gene_mixing),
        spatial_graph=SpotGraph(spatial, normalization=normalization, degree=degree),
        feature_graph=None if feature is None else SpotGraph(feature, normalization=normalization),
        semantics=None if semantics is None else torch.tensor(semantics, dtype=torch.float32),
        core=slice(0, core),
        observed=Observed(targets),
        log_library=None if log_library is None else torch.tensor(log_library),
        edge_index=torch.tensor(edges),
        codes=None if codes is None else torch.tensor(codes),
    )
