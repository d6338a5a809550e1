"""The spatial graph of a slice of few spots, on which averages stay local."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from scsemst.training.slices import Slices

__all__ = ["local_graph"]


def local_graph(graph: sparse.csr_matrix, enough_spots: int, slices: Slices | None = None) -> sparse.csr_matrix:
    r"""Return a spatial graph with lighter edges where a slice has few spots.

    Three averages over six neighbours take in up to 37 spots: a small part of a slice of thousands, but a domain of a slice
    of three hundred. With fewer than `enough_spots` spots, an average therefore takes
    :math:`\sqrt{n / \mathtt{enough\_spots}}` of the share from the neighbours that it would otherwise take.

    Parameters
    ----------
    graph
        Undirected, without self-loops, shape `(n_obs, n_obs)`.
    enough_spots
        Spots of a slice from which on its edges stay as they are; 0 leaves all as they are.
    slices
        Which spots belong to which slice, if there are several.

    Returns
    -------
    The graph itself if nothing is to change, or one of the same edges: in each slice they are scaled by one factor, and an
    edge between two slices by the geometric mean of theirs.

    Examples
    --------
    >>> from scipy import sparse
    >>> from scsemst.graphs import local_graph
    >>> pair = sparse.csr_matrix([[0.0, 1.0], [1.0, 0.0]])
    >>> round(float(local_graph(pair, 8)[0, 1]), 2)  # half of the half of an average that was the neighbour's
    0.33
    """
    codes = np.zeros(graph.shape[0], dtype=np.int64) if slices is None else slices.codes
    sizes = np.maximum(np.bincount(codes), 1)
    if sizes.min() >= enough_spots:
        return graph
    degree = np.bincount(codes, weights=np.asarray(graph.sum(axis=1)).ravel()) / sizes
    share = np.sqrt(np.minimum(1.0, sizes / enough_spots)) * degree / (1 + degree)
    # The edges of summed weight w and the self-loop of weight 1 make a share of w / (1 + w)
    few = (sizes < enough_spots) & (degree > 0)
    factor = np.divide(share / (1 - share), degree, out=np.ones_like(share), where=few)
    root = sparse.diags(np.sqrt(factor)[codes].astype(graph.dtype))
    return sparse.csr_matrix(root @ graph @ root)
