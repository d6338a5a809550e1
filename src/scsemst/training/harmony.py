"""Harmony on a latent space, by harmonypy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scsemst._checks import require_in

if TYPE_CHECKING:
    from .slices import Slices

__all__ = ["harmonize", "require_harmony"]


def require_harmony(integrate: str | None, batch_key: str | None) -> None:
    """Raise, before anything is trained, if what `integrate` asks for cannot be done."""
    if integrate is None:
        return
    require_in(integrate, ("harmony",), name="integrate")
    if batch_key is None:
        raise ValueError(f"integrate={integrate!r} brings slices together. Pass batch_key= to name them.")
    try:
        import harmonypy  # noqa: F401
    except ImportError as error:
        raise ImportError('integrate="harmony" needs harmonypy: pip install scsemst[harmony]') from error


def harmonize(latent: np.ndarray, slices: Slices, rng: np.random.Generator) -> np.ndarray:
    """Correct a latent space for slices (Korsunsky et al., 2019), float32, of the same shape."""
    import harmonypy
    import pandas as pd

    meta = pd.DataFrame({"slice": pd.Categorical.from_codes(slices.codes, slices.names)})
    nclust = max(1, min(round(len(latent) / 30), 100))  # its own rule, which gives none for few spots
    # One thread: sums of several in the order of their arrival would not repeat
    found = harmonypy.run_harmony(
        latent.astype(np.float64),
        meta,
        ["slice"],
        verbose=False,
        random_state=int(rng.integers(2**31)),
        ncores=1,
        nclust=nclust,
    )
    corrected = np.asarray(found.Z_corr, dtype=np.float32)
    return corrected if corrected.shape == latent.shape else np.ascontiguousarray(corrected.T)
