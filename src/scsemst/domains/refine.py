"""Majority smoothing of labels on the spatial graph."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["majority"]


def majority(labels: np.ndarray, graph: sparse.csr_matrix, *, n_iter: int = 1) -> np.ndarray:
    """Give each spot the most frequent label among its neighbours and itself.

    Parameters
    ----------
    labels
        Label of each spot in `[0, K)`, -1 for none: such spots have no vote and stay as they are.
    graph
        Undirected spatial graph, shape `(n_obs, n_obs)`; every neighbour has one vote, whatever its weight.
    n_iter
        Number of rounds; fewer if nothing changes any more.

    Returns
    -------
    New labels. Ties keep the current label, and a domain that would lose all its spots keeps them.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from scsemst.domains.refine import majority
    >>> ring = sparse.csr_matrix(np.roll(np.eye(6), 1, axis=1) + np.roll(np.eye(6), -1, axis=1))
    >>> majority(np.array([0, 0, 1, 0, 1, 1]), ring)
    array([0, 0, 0, 1, 1, 1])
    """
    labels = np.array(labels)
    known = labels >= 0
    if not known.any():
        return labels
    n_obs, n_labels = len(labels), int(labels.max()) + 1
    votes_of = sparse.csr_matrix(graph, copy=True)
    votes_of.data = np.ones_like(votes_of.data, dtype=np.float32)
    votes_of.setdiag(1)
    here = np.flatnonzero(known)
    for _ in range(n_iter):
        one_hot = sparse.csr_matrix((np.ones(len(here), np.float32), (here, labels[here])), shape=(n_obs, n_labels))
        votes = (votes_of @ one_hot).toarray()
        most, own = votes.max(1), votes[np.arange(n_obs), np.maximum(labels, 0)]
        new = np.where(known & (most > own), votes.argmax(1), labels)
        while len(lost := np.setdiff1d(labels[known], new[known])):
            new[np.isin(labels, lost)] = labels[np.isin(labels, lost)]
        if np.array_equal(new, labels):
            break
        labels = new
    return labels
