"""What is kept of a trained model, how it is gathered, and how it reads another slice."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from scsemst.graphs import local_graph, spatial_graph
from scsemst.training.batches import Batches, automatic_batch_size
from scsemst.training.components import averaging_operator
from scsemst.training.expression import read_expression
from scsemst.training.memory import shrinking
from scsemst.training.semantics import read_gene_mixing, read_semantics
from scsemst.training.slices import read_slices
from scsemst.training.start import project, start_components
from scsemst.training.train import N_FEATURE_COMPONENTS, encode

from .biases import adapted, slices_of
from .genes import GeneSpace, gene_space
from .readout import Linear, fit_readout
from .semantic_space import embed, fit_transfer

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst.nn import SemST
    from scsemst.training.run import Run

__all__ = ["Parts", "Rotation", "encode_slice", "gather"]

log = logging.getLogger("scsemst")

OPTIONS = (
    "semantics_key",
    "likelihood",
    "n_top_genes",
    "batch_key",
    "normalization",
    "enough_spots",
    "n_neighbors",
    "semantic_hops",
    "readout_hops",
)


class Rotation(NamedTuple):
    """From what the network computes to the latent space that users see."""

    center: np.ndarray
    """Shape `(d,)`."""
    axes: np.ndarray
    """Orthonormal columns, shape `(d, d)`."""

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Rotate rows of shape `(n, d)`."""
        return ((z.astype(np.float64) - self.center) @ self.axes).astype(np.float32)


class Parts(NamedTuple):
    """Everything that reading another slice takes, and the record of the run."""

    module: SemST
    genes: GeneSpace
    loadings: np.ndarray | None
    """Of the components in which spots of like expression are found, shape `(n_genes, ≤ 30)`."""
    mixing: sparse.csr_matrix | None
    """See :func:`~scsemst.graphs.gene_mixing`."""
    rotation: Rotation
    readout: list[Linear]
    """From the latent space to domains; empty if there are none."""
    transfer: Linear | None
    """From the space of gene meaning to domains."""
    space: str | None
    """Where the gene vectors of that space come from."""
    options: dict[str, Any]
    """Those of training that a reader has to follow."""
    record: dict[str, Any]
    """What `uns` keeps of the run."""

    @property
    def n_domains(self) -> int | None:
        """Number of domains, if there are any."""
        return len(self.readout[0].bias) if self.readout else None


def gather(
    adata: AnnData, run: Run, *, layer: str | None, neighbors_key: str, batch_size: int | None, rng: np.random.Generator
) -> Parts:
    """Keep what another slice will need.

    Parameters
    ----------
    adata
        The slice that the run read.
    run
        The run.
    layer
        Layer that it read.
    neighbors_key
        Spatial graph that it read.
    batch_size
        As it was asked for.
    rng
        Generator in the state that the run began with.
    """
    params = run.record["params"]
    options = {**{name: params.get(name) for name in OPTIONS}, "batch_size": batch_size}
    slices = read_slices(adata, options["batch_key"])
    options["batches"] = None if slices is None else slices.names
    key = options["semantics_key"]
    how = {"layer": layer, "likelihood": options["likelihood"], "slices": slices}
    expression = read_expression(adata, n_top_genes=options["n_top_genes"], **how)
    mixing = read_gene_mixing(adata, key, expression.genes, run.preset.gene_prior)
    options["normalize"] = expression.library is not None
    loadings = None
    if run.preset.feature_view:
        spatial = local_graph(spatial_graph(adata, neighbors_key), options["enough_spots"], slices)
        n = run.preset.hidden_channels
        loadings, _ = start_components(expression, spatial, n, gene_mixing=mixing, rng=rng, slices=slices)
        loadings = loadings[:, :N_FEATURE_COMPONENTS]
    d = run.trained.latent.shape[1]
    parts = Parts(
        module=copy.deepcopy(run.trained.model).cpu().eval(),
        genes=gene_space(adata, expression, **how),
        loadings=loadings,
        mixing=mixing,
        rotation=Rotation(np.zeros(d), np.eye(d)),
        readout=[] if run.labels is None else fit_readout(run.trained.latent, run.labels, run.mixtures),
        transfer=None,
        space=None,
        options=options,
        record={name: value for name, value in run.record.items() if name != "fsm"},  # the module has its weights
    )
    z = encode_slice(adata, parts, expression, neighbors_key=neighbors_key, device=torch.device("cpu"))
    parts = parts._replace(rotation=_rotation(z, run.trained.latent))
    if run.labels is None or parts.n_domains is None:
        return parts
    try:
        space = embed(
            adata, expression, key=key, neighbors_key=neighbors_key, n_top_genes=options["n_top_genes"], **how
        )
    except ValueError as error:  # names of no known organism: such a model knows slices with its own genes only
        log.info("The model cannot be carried to other gene panels: %s", error)
        return parts
    return parts._replace(transfer=fit_transfer(space.vectors, run.labels, parts.n_domains), space=space.model)


def encode_slice(
    adata: AnnData,
    parts: Parts,
    expression: Any,
    *,
    neighbors_key: str,
    device: torch.device,
    progress: bool = False,
) -> np.ndarray:
    """Return the latent vectors of a slice, rotated, shape `(n_obs, n_latent)`.

    Parameters
    ----------
    adata
        The slice.
    parts
        Of the model.
    expression
        The slice's expression in the columns of the model.
    neighbors_key
        Spatial graph of the slice.
    device
        Where to compute.
    progress
        Show a progress bar if it takes more than two seconds.
    """
    options = parts.options
    slices = slices_of(adata, parts)
    spatial = local_graph(spatial_graph(adata, neighbors_key), options["enough_spots"], slices)
    average = averaging_operator(spatial)
    key = options["semantics_key"] if parts.module.fsm is not None else None
    semantics = read_semantics(adata, key, average=average, n_hops=options["semantic_hops"], slices=slices)
    projected = None
    if parts.loadings is not None:
        projected = average @ (average @ project(expression, parts.loadings, parts.mixing))
        projected = projected if slices is None else slices.centred(projected)
    module = adapted(parts, expression, slices).to(device)
    n_genes = len(parts.genes.columns)
    batch_size = options["batch_size"] or automatic_batch_size(
        adata.n_obs, n_genes, module.spatial_view.first.out_channels
    )

    def attempt(batch_size: int) -> np.ndarray:
        batches = Batches(
            expression,
            spatial,
            projected,
            None if semantics is None else semantics.vectors,
            parts.mixing,
            batch_size=batch_size,
            n_neighbors=options["n_neighbors"],
            normalization=options["normalization"],
            device=device,
            slices=slices,
            keep=False,
        )
        return encode(module, batches, progress=progress)

    z = shrinking(attempt, batch_size, adata.n_obs)
    for _ in range(options["readout_hops"]):
        z = average @ z
    return parts.rotation(z)


def _rotation(z: np.ndarray, latent: np.ndarray) -> Rotation:
    """Return the rotation that takes the network's output to the latent space of the training slice."""
    from scipy.linalg import orthogonal_procrustes

    center = z.mean(axis=0, dtype=np.float64)
    axes, _ = orthogonal_procrustes(z - center, latent.astype(np.float64))
    return Rotation(center, axes)
