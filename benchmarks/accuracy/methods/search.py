"""A resolution that gives the wanted number of clusters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def search(cluster: Callable[[float], np.ndarray], n_domains: int, *, max_tries: int = 15) -> np.ndarray:
    """Return the labels whose number of clusters is `n_domains` or, after `max_tries`, closest to it."""
    low, high, resolution = 0.0, np.inf, 0.5
    best, distance = None, np.inf
    for _ in range(max_tries):
        labels = np.unique(np.asarray(cluster(resolution)), return_inverse=True)[1]
        found = labels.max() + 1
        if abs(found - n_domains) < distance:
            best, distance = labels, abs(found - n_domains)
        if found == n_domains:
            break
        if found > n_domains:
            high = resolution
        else:
            low = resolution
        resolution = 2 * low if np.isinf(high) else (low + high) / 2
    return best
