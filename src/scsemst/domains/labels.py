"""Labels in a stable order, as scanpy's `tl.leiden` writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["categorical", "size_order"]


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
