"""Training by several processes: each takes the gradients of its parts of the tissue, the sum of which all of them follow."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scsemst import nn
from scsemst._checks import expression as stored_expression
from scsemst.graphs import local_graph, spatial_graph
from scsemst.reuse.modules import build_module, describe_module
from scsemst.training.batches import Batches, automatic_batch_size
from scsemst.training.checkpoint import Checkpoint, named_tensors
from scsemst.training.components import averaging_operator
from scsemst.training.expression import Expression, read_expression
from scsemst.training.fingerprint import fingerprint
from scsemst.training.fit import autocast, objective, optimizer
from scsemst.training.loop import optimize
from scsemst.training.model import build_model
from scsemst.training.partition import surroundings
from scsemst.training.repeats import merge_repeats
from scsemst.training.semantics import Semantics, read_gene_mixing
from scsemst.training.start import start_components
from scsemst.training.train import N_FEATURE_COMPONENTS, Trained, encode, enough_epochs, principal_axes

from .rows import read_sparse
from .semantics import read_shared_semantics

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy import sparse

    from scsemst.training.presets import Preset
    from scsemst.training.slices import Slices

    from .world import World

__all__ = ["SharedTrained", "train_shared"]


@dataclass(frozen=True)
class SharedTrained(Trained):
    """A trained model, and how the data were shared out."""

    held: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """Of each process, spots and bytes of expression and semantics."""


def train_shared(
    adata: AnnData,
    preset: Preset,
    *,
    world: World,
    parts_per_step: int,
    semantics_key: str | None,
    neighbors_key: str,
    layer: str | None,
    rng: np.random.Generator,
    batch_size: int | None = None,
    precision: str = "float32",
    checkpoint_dir: str | None = None,
    checkpoint_minutes: float = 5,
    slices: Slices | None = None,
    progress: bool = True,
    **options: Any,
) -> SharedTrained:
    """Train SemST on a slice on disk, as :func:`~scsemst.training.train.train` does; called by every process.

    The tissue's parts are dealt to `parts_per_step` slots, a step takes one part of each and averages their gradients,
    weighted by their spots; processes take turns to serve the slots. What is computed therefore depends on
    `parts_per_step`, but not, but for the order of sums, on the number of processes. Spatial graph, names, totals and
    components are known to all processes; expression and semantics are held of the own parts and their surroundings.

    Parameters
    ----------
    adata
        See :func:`~scsemst.distributed.open_slice`.
    preset
        Sizes and settings.
    world
        All processes.
    parts_per_step
        At least as many as there are processes.
    semantics_key, neighbors_key, layer, rng, batch_size, precision, checkpoint_dir, checkpoint_minutes, progress
        As for :func:`scsemst.tl.semst`; the folder of the checkpoint is one that all processes see.
    slices
        What `batch_key` of :func:`scsemst.tl.semst` names.
    options
        `n_top_genes`, `likelihood` and `device`.
    """
    spatial = local_graph(spatial_graph(adata, neighbors_key), preset.enough_spots, slices)
    average = averaging_operator(spatial)
    checked: dict[str, Any] = {"semantics_key": semantics_key, "checkpoint": checkpoint_dir is not None}
    settings = {"batch_size": batch_size, "precision": precision, "parts_per_step": parts_per_step}
    begun: tuple[dict[str, Any], dict[str, np.ndarray]] = ({}, {})
    if world.leads:
        begun = _begin(adata, preset, spatial, layer, rng, settings, slices=slices, **checked, **options)
    info, arrays = world.share(*begun)
    rng.bit_generator.state = info["generator"]
    library, genes = arrays.get("library"), arrays["genes"]
    model = build_module(info["module"])
    model.neighbor_loss = nn.NeighborLoss(balanced=preset.balanced_neighbors)
    model.load_state_dict(named_tensors(arrays, "model."), assign=True)
    model.to(world.device)

    size = batch_size or automatic_batch_size(adata.n_obs, genes.size, preset.hidden_channels)
    size = min(size, -(-adata.n_obs // parts_per_step))
    checkpoint = None
    if checkpoint_dir is not None:
        checkpoint = Checkpoint(checkpoint_dir, checkpoint_minutes, info["marks"], size, write=world.leads)

    on_disk = Expression(stored_expression(adata, layer), genes, genes, library, info["counts"])
    mixing = read_gene_mixing(adata, semantics_key, genes, preset.gene_prior)
    shape = {
        "n_neighbors": preset.n_neighbors,
        "normalization": preset.normalization,
        "device": world.device,
        "slices": slices,
    }
    batches = Batches(on_disk, spatial, None, None, mixing, batch_size=size, **shape)
    slots = np.array_split(np.arange(len(batches)), parts_per_step)
    mine = [int(i) for slot in slots[world.rank :: world.size] for i in slot]
    own = _read_own(adata, batches, mine, preset, world, semantics_key, average, arrays["loadings"])

    def gradient(step: int) -> tuple[dict[str, float], int]:
        return _gradient(
            model, batches, [slot[step] for slot in slots if step < len(slot)], mine, preset, world, precision
        )

    n_steps = max(map(len, slots))
    loop: dict[str, Any] = {"epochs": enough_epochs(preset.epochs, n_steps), "rng": rng, "checkpoint": checkpoint}
    history = optimize(model, optimizer(model, preset), gradient, n_steps, **loop, progress=progress and world.leads)
    latent = world.sum(encode(model, batches, precision, parts=mine, progress=progress and world.leads))
    for _ in range(preset.readout_hops):
        latent = average @ latent
    if world.leads:
        latent = merge_repeats(latent, adata, on_disk, slices)
    sizes = np.zeros((2, world.size), dtype=np.int64)
    sizes[:, world.rank] = own.n_spots, own.nbytes
    shared = dict(zip(("spots", "bytes"), world.sum(sizes), strict=True))
    return SharedTrained(model, principal_axes(latent), history, genes, size, own.semantics, checkpoint, held=shared)


class _Own(NamedTuple):
    """What a process holds of expression and semantics."""

    n_spots: int
    nbytes: int
    semantics: Semantics | None


def _read_own(
    adata: AnnData,
    batches: Batches,
    mine: list[int],
    preset: Preset,
    world: World,
    semantics_key: str | None,
    average: sparse.csr_matrix,
    loadings: np.ndarray,
) -> _Own:
    """Read expression and semantics of the own parts and their surroundings; from there on batches are made of these."""
    on_disk, spatial = batches.expression, batches.spatial
    core = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *(batches.parts[i] for i in mine)]))
    held = np.sort(np.concatenate([core, surroundings(spatial, core)])).astype(np.int64)
    rows = read_sparse(on_disk.matrix, held, on_disk.genes)
    batches.expression = dataclasses.replace(on_disk, matrix=rows, columns=None)
    near = {"average": average, "spatial": spatial, "n_hops": preset.semantic_hops, "held": held, "core": core}
    read = read_shared_semantics(adata, semantics_key, **near, world=world, slices=batches.slices)
    if preset.feature_view:
        weights = loadings[:, :N_FEATURE_COMPONENTS]
        weights = weights if batches.gene_mixing is None else batches.gene_mixing @ weights
        scores = np.zeros((adata.n_obs, weights.shape[1]), dtype=np.float32)
        if core.size:
            scores[core] = batches.expression.rows(core)[0] @ weights
        projected = average @ (average @ world.sum(scores))
        batches.projected = projected if batches.slices is None else batches.slices.centred(projected)
    if read is None:
        return _Own(held.size, rows.nbytes, None)
    batches.semantics, standard = read
    return _Own(held.size, rows.nbytes + read[0].nbytes, Semantics(read[0].values, standard))


def _gradient(
    model: nn.SemST,
    batches: Batches,
    chosen: list[int],
    mine: list[int],
    preset: Preset,
    world: World,
    precision: str,
) -> tuple[dict[str, float], int]:
    """Average gradients and terms over the chosen parts, weighted by spots; each process computes those of its own."""
    names = ["loss", "reconstruction", "neighbor", *(["redundancy"] if preset.feature_view else [])]
    n_spots = sum(batches.parts[i].size for i in chosen)
    totals = np.zeros(len(names))
    for i in chosen:
        if i in mine:
            batch = batches[int(i)]
            share = batch.core.stop / n_spots
            with autocast(world.device, precision):
                terms = objective(model, batch, preset)
            (terms["loss"] * share).backward()
            totals += [share * terms[name].item() for name in names]
    world.sum_gradients(model.parameters())
    return dict(zip(names, world.sum(totals).tolist(), strict=True)), n_spots


def _begin(
    adata: AnnData,
    preset: Preset,
    spatial: sparse.csr_matrix,
    layer: str | None,
    rng: np.random.Generator,
    settings: dict[str, Any],
    *,
    semantics_key: str | None,
    checkpoint: bool,
    likelihood: str,
    n_top_genes: int,
    slices: Slices | None,
    **_: Any,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Do what takes all spots, or enough of them: return genes, totals, components and the untrained model."""
    begin = rng.bit_generator.state
    expression = read_expression(adata, layer=layer, n_top_genes=n_top_genes, likelihood=likelihood, slices=slices)
    mixing = read_gene_mixing(adata, semantics_key, expression.genes, preset.gene_prior)
    n_components = preset.hidden_channels if preset.warm_start else N_FEATURE_COMPONENTS
    components = start_components(expression, spatial, n_components, gene_mixing=mixing, rng=rng, slices=slices)
    stored = None if semantics_key is None else adata.obsm.get(semantics_key)
    model = build_model(
        expression,
        preset,
        likelihood=likelihood,
        n_latent=preset.n_latent,
        semantic_channels=None if stored is None else stored.shape[1],
        components=components,
        seed=int(rng.integers(2**31)),
        slices=slices,
    )
    info: dict[str, Any] = {
        "module": describe_module(model),
        "counts": expression.counts,
        "generator": rng.bit_generator.state,
    }
    if checkpoint:
        blocks = None if stored is None else (stored[i : i + 16_384] for i in range(0, adata.n_obs, 16_384))
        info["marks"] = fingerprint(
            adata, expression, spatial, blocks, preset, begin, slices, likelihood=likelihood, **settings
        )
    arrays = {"genes": expression.genes, "loadings": components[0]}
    arrays |= {f"model.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    if expression.library is not None:
        arrays["library"] = expression.library
    return info, arrays
