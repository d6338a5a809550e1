"""The slice as it is, and harder: fewer counts or fewer genes, drawn alike for every method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

DEPTHS = {"depth10": 0.10, "depth3": 0.03}
PANELS = {"panel50": 50, "panel100": 100, "panel300": 300}
SETTINGS = ("full", *DEPTHS, *PANELS)
MIN_SHARE_OF_SPOTS = 0.05
"""Panels are drawn among the genes found in this share of the spots at least: nobody would measure others."""


class NotApplicable(ValueError):
    """The slice cannot be made that hard."""


def apply(adata: AnnData, setting: str, seed: int) -> tuple[AnnData, np.ndarray]:
    """Return the slice in a setting without its empty spots, and the positions of the spots that are left.

    The draw depends on slice, setting and seed only, so that methods can be compared pair by pair.
    """
    rng = np.random.default_rng([seed, SETTINGS.index(setting)])
    x = sparse.csr_matrix(adata.X)
    if setting in DEPTHS:
        if not np.array_equal(x.data, np.rint(x.data)):
            raise NotApplicable("values are not counts: thinning them is not defined")
        x = x.copy()
        x.data = rng.binomial(x.data.astype(np.int64), DEPTHS[setting]).astype(np.float32)
        x.eliminate_zeros()
    elif setting in PANELS:
        share = np.asarray((x > 0).mean(axis=0)).ravel()
        candidates = np.flatnonzero(share >= MIN_SHARE_OF_SPOTS)
        if candidates.size <= PANELS[setting]:
            raise NotApplicable(f"only {candidates.size} genes are found in {MIN_SHARE_OF_SPOTS:.0%} of the spots")
        genes = np.sort(rng.choice(candidates, PANELS[setting], replace=False))
        adata, x = adata[:, genes].copy(), x[:, genes]
    elif setting != "full":
        raise ValueError(f"setting={setting!r} is not one of {', '.join(SETTINGS)}.")
    adata = adata.copy()
    adata.X = sparse.csr_matrix(x)
    rows = np.flatnonzero(np.asarray(x.sum(axis=1)).ravel() > 0)
    return (adata if rows.size == adata.n_obs else adata[rows].copy()), rows
