"""Principal components of spatially averaged expression, where training starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from .slices import Slices

__all__ = ["averaging_operator", "spatial_components"]


def averaging_operator(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the matrix that averages each spot with its neighbours, shape `(n_spots, n_spots)`."""
    looped = sparse.csr_matrix(graph + sparse.eye(graph.shape[0], format="csr", dtype=np.float32))
    degree = np.asarray(looped.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags((1.0 / degree).astype(np.float32)) @ looped)


# Of so tall a matrix threads gain nothing, and how many there are would show in the last digit
@threadpool_limits.wrap(limits=1, user_api="blas")
def spatial_components(
    x: sparse.csr_matrix,
    average: sparse.csr_matrix,
    n_components: int,
    *,
    gene_mixing: sparse.csr_matrix | None = None,
    slices: Slices | None = None,
    n_hops: int = 2,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return loadings and mean of the principal components of expression, averaged `n_hops` times over a graph.

    Neither the averaged nor the mixed nor the centred matrix is formed: Lanczos iterations need only its products with vectors.

    Parameters
    ----------
    x
        Expression, shape `(n_spots, n_genes)`.
    average
        See :func:`averaging_operator`.
    n_components
        Fewer are returned if there are fewer genes or spots.
    gene_mixing
        See :func:`~scsemst.graphs.gene_mixing`; the loadings are those of expression times this matrix.
    slices
        Slices to centre one by one, so that no component tells one from the other.
    n_hops
        How often to average.
    seed
        Of the start vector.

    Returns
    -------
    Loadings of shape `(n_genes, n_components)`, scaled so that the first component has unit variance, and the
    mean of shape `(n_genes,)` or, of each slice, `(n_slices, n_genes)`.
    """
    n_spots, n_genes = x.shape
    transposed, x_transposed = average.T.tocsr(), x.T.tocsr()
    mix = sparse.identity(n_genes, format="csr", dtype=np.float32) if gene_mixing is None else gene_mixing
    mix_transposed = mix.T.tocsr()
    if slices is None:
        member, sizes = np.ones((1, n_spots)), np.array([n_spots])
    else:
        member, sizes = slices.member, np.maximum(slices.sizes, 1)  # a part of the tissue may miss a slice
    weights = member.T
    for _ in range(n_hops):
        weights = transposed @ weights
    mean = (mix_transposed @ (x_transposed @ weights)).T
    mean = (mean.toarray() if sparse.issparse(mean) else mean) / sizes[:, None]
    codes = np.zeros(n_spots, dtype=np.int64) if slices is None else slices.codes

    def forward(v: np.ndarray) -> np.ndarray:
        v = v.reshape(-1)
        out = x @ (mix @ v)
        for _ in range(n_hops):
            out = average @ out
        return out - (mean @ v)[codes]

    def backward(u: np.ndarray) -> np.ndarray:
        u = u.reshape(-1)
        out = u
        for _ in range(n_hops):
            out = transposed @ out
        return mix_transposed @ (x_transposed @ out) - mean.T @ (member @ u)

    found = mean[0] if slices is None else mean
    k = min(n_components, min(n_spots, n_genes) - 1)
    probe = np.random.default_rng(seed).normal(size=n_genes)
    alike = np.linalg.norm(forward(probe)) <= 1e-6 * np.linalg.norm(x @ (mix @ probe))
    if k < 1 or alike:  # one gene, one spot, or spots that averaging makes alike: nothing to rotate
        return np.ones((n_genes, 1), dtype=np.float32), found.astype(np.float32)
    operator = LinearOperator((n_spots, n_genes), matvec=forward, rmatvec=backward, dtype=np.float64)
    start = np.random.default_rng(seed).normal(size=min(n_spots, n_genes))
    _, singular, loadings = svds(operator, k=k, v0=start)
    order = np.argsort(-singular)
    singular, loadings = singular[order], loadings[order]
    # The sign of a component is arbitrary: fix it, so that it does not depend on the platform's LAPACK.
    loadings *= np.sign(loadings[np.arange(k), np.abs(loadings).argmax(axis=1)])[:, None]
    scale = singular[0] / np.sqrt(n_spots)
    return (loadings.T / (scale if scale > 0 else 1.0)).astype(np.float32), found.astype(np.float32)
