"""Domains of an unseen slice, by its genes or by their meaning."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scsemst._checks import expression, features, require_key
from scsemst.semantics.provenance import difference

from .biases import slices_of
from .genes import AlignedExpression, align_genes, require_share
from .parts import Parts, encode_slice
from .readout import read_out
from .semantic_space import BUNDLED, embed, provenance_of

if TYPE_CHECKING:
    import torch
    from anndata import AnnData

__all__ = ["Prediction", "predict_slice"]

log = logging.getLogger("scsemst")

GRAPH_FIX = "Run squidpy.gr.spatial_neighbors_knn(adata, n_neighs=6) first, or pass neighbors_key=."


class Prediction(NamedTuple):
    """What a model says of a slice."""

    latent: np.ndarray
    """Shape `(n_obs, d)`, float32."""
    labels: np.ndarray | None
    """Domains from 0 to K - 1, shape `(n_obs,)`."""
    probability: np.ndarray | None
    """Probability of the domain, shape `(n_obs,)`."""
    report: dict[str, Any]
    """The way that was taken, numbers of genes."""


def predict_slice(
    adata: AnnData,
    parts: Parts,
    *,
    layer: str | None,
    neighbors_key: str,
    through: str,
    min_share: float,
    device: torch.device,
    progress: bool = False,
) -> Prediction:
    """Embed and label a slice; `adata` is only read. Parameters are those of :func:`scsemst.tl.predict`."""
    if through != "semantics":
        how = {"likelihood": parts.options["likelihood"], "normalize": parts.options.get("normalize")}
        aligned = align_genes(adata, parts.genes, layer=layer, **how)
        if through == "genes" or aligned.share >= min_share or parts.transfer is None:
            require_share(aligned, min_share, adata)
            return _by_genes(adata, parts, aligned, layer, neighbors_key, device=device, progress=progress)
        log.warning(
            "adata has %.0f %% of the model's genes, less than min_share=%g: domains go by the meaning of genes, which is "
            "far less accurate.",
            100 * aligned.share,
            min_share,
        )
    return _by_semantics(adata, parts, layer=layer, neighbors_key=neighbors_key)


def _by_genes(
    adata: AnnData,
    parts: Parts,
    aligned: AlignedExpression,
    layer: str | None,
    neighbors_key: str,
    *,
    device: torch.device,
    progress: bool,
) -> Prediction:
    adata = _with_semantics(adata, parts, layer=layer, neighbors_key=neighbors_key)
    z = encode_slice(adata, parts, aligned, neighbors_key=neighbors_key, device=device, progress=progress)
    n_genes, n_missing = len(aligned.positions), len(aligned.missing)
    report = {
        "through": "genes",
        "n_genes": n_genes,
        "n_genes_found": n_genes - n_missing,
        "n_genes_missing": n_missing,
        "share_of_genes": aligned.share,
    }
    if not parts.readout:
        return Prediction(z, None, None, report)
    labels, posterior = read_out(z, parts.readout)
    return Prediction(z, labels, posterior[np.arange(len(z)), labels], report)


def _by_semantics(adata: AnnData, parts: Parts, *, layer: str | None, neighbors_key: str) -> Prediction:
    if parts.transfer is None:
        reason = "it has no domains" if not parts.readout else "its genes have no vectors"
        raise ValueError(
            f"The model cannot go by the meaning of genes: {reason}. Train it with n_domains= on a slice whose genes "
            "scsemst.pp.gene_semantics knows."
        )
    options = parts.options
    space = embed(
        adata,
        key=options["semantics_key"],
        model=parts.space,
        layer=layer,
        neighbors_key=neighbors_key,
        likelihood=options["likelihood"],
        n_top_genes=options["n_top_genes"],
        slices=slices_of(adata, parts),
    )
    expected = len(parts.transfer.weight)
    if space.vectors.shape[1] != expected:
        raise ValueError(_dimension(f"Gene vectors from {space.model!r}", space.vectors.shape[1], expected))
    posterior = np.exp(parts.transfer(space.vectors))
    labels = posterior.argmax(axis=1)
    report = {"through": "semantics", "n_genes": space.n_genes, "n_genes_found": space.n_matched}
    return Prediction(space.vectors, labels, posterior[np.arange(len(labels)), labels], report)


def _with_semantics(adata: AnnData, parts: Parts, *, layer: str | None, neighbors_key: str) -> AnnData:
    """Return the slice with semantics of the model's kind: its own, checked, or made as those of training were."""
    if parts.module.fsm is None:
        return adata
    key, trained = parts.options["semantics_key"], parts.record.get("semantics", {})
    if key not in adata.obsm and trained.get("model") == BUNDLED:
        from anndata import AnnData

        from scsemst.pp import gene_semantics

        log.info("adata.obsm[%r] is missing: made with the bundled gene vectors, as in training.", key)
        params = {n: v for n, v in trained.get("params", {}).items() if n in ("target_sum", "gene_symbols")}
        # Beside the user's object, which stays as it is; the matrix is shared
        columns = [name for name in adata.obs if name == parts.options.get("batch_key")]
        beside = AnnData(expression(adata, layer), obs=adata.obs[columns], var=adata.var)
        beside.obsp[neighbors_key] = require_key(adata, "obsp", neighbors_key, fix=GRAPH_FIX)
        gene_semantics(beside, **params, organism=trained.get("organism"), key_added=key)
        return beside
    fix = "The model was trained with it: run scsemst.pp.gene_semantics or pp.spot_semantics as for the training slice."
    vectors = features(adata, key, fix=fix)
    expected, name = parts.module.fsm.semantic_channels, f"adata.obsm[{key!r}]"
    if vectors.shape[1] != expected:
        raise ValueError(_dimension(name, vectors.shape[1], expected))
    if differs := difference(provenance_of(adata, key), trained):
        field, found, expected = differs
        raise ValueError(
            f"{name} was made with {field}={found!r}, the semantics that the model was trained with had "
            f"{field}={expected!r}. Make them alike."
        )
    return adata


def _dimension(name: str, found: int, expected: int) -> str:
    return (
        f"{name} has dimension {found}, but the model was trained with semantics of dimension {expected}. Run "
        "scsemst.pp.gene_semantics with the language model or table of the training slice."
    )
