"""The graph of genes with like meaning."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["gene_mixing"]


def gene_mixing(vectors: np.ndarray, share: float, n_neighbors: int = 30) -> sparse.csr_matrix:
    """Return the matrix that lends each gene expression of the genes closest to it in meaning.

    Right-multiplied to expression, it keeps `1 - share` of each gene and takes `share` from the mean of its
    `n_neighbors` nearest genes by cosine similarity. A prior on genes, for counts too few to speak for themselves.

    Parameters
    ----------
    vectors
        Gene vectors, shape `(n_genes, d)`; a gene without meaning (all zeros) keeps all of its expression, and lends
        none.
    share
        Between 0 and 1.
    n_neighbors
        Genes that each gene borrows from.

    Returns
    -------
    Shape `(n_genes, n_genes)`, columns sum to one.
    """
    from sklearn.neighbors import NearestNeighbors

    n = vectors.shape[0]
    norm = np.linalg.norm(vectors, axis=1)
    known = np.flatnonzero(norm > 0)
    k = min(n_neighbors, known.size - 1)
    if k < 1 or share == 0:
        return sparse.identity(n, dtype=np.float32, format="csr")
    unit = vectors[known] / norm[known, None]
    neighbors = NearestNeighbors(n_neighbors=k).fit(unit).kneighbors(return_distance=False)
    lenders, borrowers = known[neighbors.ravel()], np.repeat(known, k)
    lent = sparse.csr_matrix((np.full(lenders.size, share / k), (lenders, borrowers)), shape=(n, n))
    kept = np.ones(n)
    kept[known] -= share
    return sparse.csr_matrix(lent + sparse.diags(kept), dtype=np.float32)
