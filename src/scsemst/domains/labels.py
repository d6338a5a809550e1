"""Labels in a stable order, as scanpy's `tl.leiden` writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["assign", "categorical", "size_order"]


def size_order(labels: np.ndarray, n_domains: int) -> np.ndarray:
    """Order domains by decreasing size, ties by the first spot that has them.

    Parameters
    ----------
    labels
        Integer label of each spot, in `[0, n_domains)`.
    n_domains
        Number of domains.

    Returns
    -------
    Old labels in their new order, shape `(n_domains,)`; `np.argsort` of it maps old labels to new ones.

    Examples
    --------
    >>> import numpy as np
    >>> from scsemst.domains.labels import size_order
    >>> size_order(np.array([2, 0, 1, 1]), 3)
    array([1, 2, 0])
    """
    sizes = np.bincount(labels, minlength=n_domains)
    first = np.full(n_domains, len(labels))
    found, index = np.unique(labels, return_index=True)
    first[found] = index
    return np.lexsort((first, -sizes))


def categorical(labels: np.ndarray) -> pd.Categorical:
    """Turn integer labels into strings "0", "1", … by decreasing size, ties by the first spot.

    Parameters
    ----------
    labels
        Label of each spot: non-negative integers, not necessarily consecutive.

    Returns
    -------
    Categorical whose categories are in natural order and all in use.

    Examples
    --------
    >>> import numpy as np
    >>> from scsemst.domains.labels import categorical
    >>> list(categorical(np.array([7, 3, 3])))
    ['1', '0', '0']
    """
    found, codes = np.unique(labels, return_inverse=True)
    rank = np.argsort(size_order(codes, len(found)))
    names = pd.Index([str(i) for i in range(len(found))], dtype=object)  # object: 0.12 can't write string indexes
    return pd.Categorical.from_codes(rank[codes], categories=names)


def assign(log_posterior: np.ndarray) -> np.ndarray:
    """Give each spot its most probable domain, and each domain at least one spot.

    Parameters
    ----------
    log_posterior
        Log probability of each domain, shape `(n_obs, K)` with `K <= n_obs`.

    Returns
    -------
    Labels in `[0, K)`, shape `(n_obs,)`. A domain that is nobody's most probable one gets the spot that loses least
    by the change.

    Examples
    --------
    >>> import numpy as np
    >>> from scsemst.domains.labels import assign
    >>> assign(np.log([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]]))
    array([0, 1, 2])
    """
    labels = log_posterior.argmax(1)
    n_domains = log_posterior.shape[1]
    for empty in np.setdiff1d(np.arange(n_domains), labels):
        loss = log_posterior.max(1) - log_posterior[:, empty]
        alone = np.bincount(labels, minlength=n_domains)[labels] == 1
        labels[np.where(alone, np.inf, loss).argmin()] = empty
    return labels
