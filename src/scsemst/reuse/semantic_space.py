"""From one gene panel to another through what genes mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from scsemst._checks import available
from scsemst.graphs import spatial_graph
from scsemst.training.components import averaging_operator
from scsemst.training.expression import Expression, read_expression
from scsemst.training.start import project

from .readout import Linear

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst.training.slices import Slices

__all__ = ["SemanticSpace", "embed", "fit_transfer", "gene_vectors_of", "spot_vectors"]

N_HOPS = 3
SHRINKAGE = 0.1
BUNDLED = "bundled"


class SemanticSpace(NamedTuple):
    """A slice in the space of gene meaning."""

    vectors: np.ndarray
    """Shape `(n_obs, d)`, float32."""
    model: str
    """Where the gene vectors come from."""
    n_genes: int
    """Genes that were read."""
    n_matched: int
    """Genes among them that have a vector."""


def embed(
    adata: AnnData,
    expression: Expression | None = None,
    *,
    key: str | None,
    model: str | None = None,
    layer: str | None,
    neighbors_key: str,
    likelihood: str,
    n_top_genes: int,
    slices: Slices | None = None,
) -> SemanticSpace:
    """Place a slice in the space of gene meaning.

    Parameters
    ----------
    adata
        The slice.
    expression
        Its highly variable genes; read if `None`.
    key
        Key of gene vectors in `varm`; the bundled ones serve if there are none.
    model
        Where the vectors must come from, if that is known.
    layer
        Layer to read.
    neighbors_key
        Key of the spatial graph.
    likelihood
        Distribution of the counts.
    n_top_genes
        Number of highly variable genes.
    slices
        Slices to centre one by one.

    Raises
    ------
    ValueError
        If no gene has a vector, or the vectors come from elsewhere.
    """
    average = averaging_operator(spatial_graph(adata, neighbors_key))
    if expression is None:
        expression = read_expression(adata, layer=layer, n_top_genes=n_top_genes, likelihood=likelihood, slices=slices)
    vectors, source = gene_vectors_of(adata, key, model)
    vectors = vectors[expression.genes]
    n_matched = int(np.abs(vectors).max(axis=1).astype(bool).sum())
    if not n_matched:
        raise ValueError(
            f"None of the {len(vectors)} genes has a vector ({available(adata.var_names[:3])} are the first): the slice "
            "cannot be placed in the space of gene meaning. Check adata.var_names."
        )
    z = spot_vectors(project(expression, vectors, None), average, slices)
    return SemanticSpace(z, source, len(vectors), n_matched)


def gene_vectors_of(adata: AnnData, key: str | None, model: str | None = None) -> tuple[np.ndarray, str]:
    """Return the vectors of a slice's genes, shape `(n_vars, d)`, and where they come from.

    Parameters
    ----------
    adata
        The slice.
    key
        Key in `varm`; the bundled vectors serve if there are none.
    model
        Where they must come from, if that is known.
    """
    from scsemst.language import gene_vectors

    source = provenance_of(adata, key).get("model")
    if key is not None and key in adata.varm and source is not None and model in (None, source):
        return np.asarray(adata.varm[key], dtype=np.float32), str(source)
    if model not in (None, BUNDLED):
        found = "are missing" if source is None else f"come from {source!r}"
        raise ValueError(
            f"The model goes by gene vectors from {model!r}, those in adata.varm[{key!r}] {found}. Run "
            f"scsemst.pp.gene_semantics(adata, model=…, key_added={key!r}) with the language model or table that the "
            "training slice had."
        )
    return gene_vectors(adata, model=BUNDLED).vectors, BUNDLED


def provenance_of(adata: AnnData, key: str | None) -> dict:
    """Return what `pp.gene_semantics` or `pp.spot_semantics` wrote about its vectors, if it did."""
    provenance = adata.uns.get(key) if key is not None else None
    return dict(provenance) if isinstance(provenance, dict) else {}


def spot_vectors(z: np.ndarray, average: sparse.csr_matrix, slices: Slices | None = None) -> np.ndarray:
    """Average sums of gene vectors over the tissue, centre them, and bring them to unit mean variance.

    Centre and scale are the slice's own: what a technology measures more of in all spots does not count.

    Parameters
    ----------
    z
        Log-normalised expression times gene vectors, shape `(n_spots, d)`.
    average
        See :func:`~scsemst.training.components.averaging_operator`.
    slices
        Slices to centre one by one.
    """
    for _ in range(N_HOPS):
        z = average @ z
    z = z - z.mean(axis=0, dtype=np.float64) if slices is None else slices.centred(z.astype(np.float64))
    scale = np.sqrt(z.var(axis=0).mean())
    if not scale > 1e-9:
        raise ValueError("All spots have the same vector in the space of gene meaning: it says nothing about domains.")
    return (z / scale).astype(np.float32)


def fit_transfer(z: np.ndarray, labels: np.ndarray, n_domains: int) -> Linear:
    """Learn to tell a slice's own predicted domains by its vectors in the space of gene meaning.

    Linear discriminant analysis with a covariance shrunk towards its diagonal (Friedman, 1989, Regularized discriminant
    analysis, JASA 84, 165–175): directions in which the domains of one slice hardly differ would not carry over to
    another.

    Parameters
    ----------
    z
        Vectors of the spots, shape `(n, d)`.
    labels
        Their domains, from 0 to K - 1, all of which occur.
    n_domains
        Number of domains K.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    if n_domains == 1:
        return Linear(np.zeros((z.shape[1], 1)), np.zeros(1))
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(z.astype(np.float64), labels)
    weight, bias = lda.coef_.T, lda.intercept_
    if n_domains == 2:  # scikit-learn keeps the difference only
        weight, bias = np.hstack([np.zeros_like(weight), weight]), np.append(0.0, bias)
    return Linear(np.ascontiguousarray(weight), bias)
