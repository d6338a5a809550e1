"""What the result of training depends on, in a few words that can be compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData
    from scipy import sparse

    from .expression import Expression
    from .presets import Preset
    from .slices import Slices

__all__ = ["fingerprint"]

_BLOCK = 16_384


def fingerprint(
    adata: AnnData,
    expression: Expression,
    spatial: sparse.csr_matrix,
    semantics: Iterable[np.ndarray] | None,
    preset: Preset,
    generator: Mapping[str, Any],
    slices: Slices | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Return settings, sizes and digests of everything that training reads, in types that JSON has; linear in spots.

    Parameters
    ----------
    adata
        Names of spots and genes.
    expression
        What the model reads and explains, block by block.
    spatial
        Spatial graph.
    semantics
        Semantic vectors, block by block.
    preset
        The preset, with what was overridden.
    generator
        State of the generator that the run begins with.
    slices
        Which spots belong to which slice, if there are several.
    settings
        All else.
    """
    blocks = (np.arange(i, min(i + _BLOCK, expression.n_spots)) for i in range(0, expression.n_spots, _BLOCK))
    matrices = (x for spots in blocks for x in expression.rows(spots))
    values = {
        **dataclasses.asdict(preset),
        **settings,
        "number of spots": adata.n_obs,
        "number of genes": adata.n_vars,
        "names of spots": _of_names(adata.obs_names),
        "names of genes": _of_names(adata.var_names[expression.genes]),
        "expression": _of(array for x in matrices for array in (x.indptr, x.indices, x.data)),
        "spatial graph": _of((spatial.indptr, spatial.indices, spatial.data)),
        "semantics": None if semantics is None else _of(semantics),
        "slices": None if slices is None else [*slices.names, _of((slices.codes,))],
        "rng": _of_names([json.dumps(generator, default=np.ndarray.tolist)]),
    }
    return json.loads(json.dumps(values))  # as it will be read back


def _of_names(names: Iterable[str]) -> str:
    return _of((np.frombuffer("\0".join(names).encode("utf-8"), dtype=np.uint8),))


def _of(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
