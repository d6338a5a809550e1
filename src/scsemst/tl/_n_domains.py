"""How many domains a representation holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _keys
from .._checks import as_generator, features, require_integer, seed_of
from .._table import get_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from spatialdata import SpatialData

    from .._types import Seed


def n_domains(
    adata: AnnData | SpatialData,
    candidates: Sequence[int] = range(2, 20),
    *,
    use_rep: str = _keys.embedding(_keys.SEMST),
    n_repeats: int = 7,
    min_spots: int = 40,
    rng: Seed = 0,
    progress: bool = True,
    table_key: str = _keys.TABLE,
) -> int:
    """Choose the number of domains, without labels.

    Runs of the mixture on random parts of the spots and different numbers of dimensions are compared
    (as CellCharter compares those of different seeds): a good number of domains gives the same domains again, and
    those of one domain more or less are not far from them. To that the elbow of the Bayesian information criterion is
    added. An annotation is one way to divide a tissue among several, so look at the second best, too:
    :func:`scsemst.pl.n_domains`.

    Parameters
    ----------
    adata
        Annotated data matrix.
    candidates
        Numbers of domains to choose from, consecutive or not.
    use_rep
        Key in `obsm` of the representation, dimensions by decreasing variance, shape `(n_obs, n_features)`.
    n_repeats
        Runs of each candidate.
    min_spots
        Candidates that leave fewer spots per domain on average are not scored.
    rng
        Seed or generator.
    progress
        Show a progress bar.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`.

    Returns
    -------
    The candidate of highest score. Sets the following field:

    `adata.uns["n_domains"]` : :class:`dict`
        `"n_domains"`, the candidate returned; `"scores"`, a :class:`~pandas.DataFrame` with the columns `n_domains`,
        `stability` (mean Fowlkes–Mallows index), `bic` (per spot; lower is better), `elbow` and `score`; and
        `"params"`.

    Raises
    ------
    KeyError
        If `use_rep` is not in `adata.obsm`.
    ValueError
        If the representation has NaN values, or no candidate leaves `min_spots` per domain.

    See Also
    --------
    scsemst.tl.domains : domains by their number.

    References
    ----------
    Varrone, Tavernari, Santamaria-Martínez, Walsh & Ciriello (2024), CellCharter reveals spatial cell niches associated
    with tissue remodeling and cell plasticity. Nature Genetics 56, 74–84.
    Fowlkes & Mallows (1983), A method for comparing two hierarchical clusterings. Journal of the American Statistical
    Association 78, 553–569.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:500, :300].copy()
    >>> sc.pp.pca(adata, n_comps=10)
    >>> k = scsemst.tl.n_domains(adata, [2, 4, 8], use_rep="X_pca", n_repeats=2)
    >>> k in [2, 4, 8]
    True
    """
    from ..domains.stability import fit_stability

    adata = get_table(adata, table_key, copy=False)
    z = features(adata, use_rep, fix="Run scsemst.tl.semst(adata) first, or pass use_rep=.")
    if not hasattr(candidates, "__iter__"):
        raise TypeError(
            f"candidates must be several whole numbers, found {candidates!r}. Pass [{candidates!r}] or a range."
        )
    min_spots = require_integer(min_spots, name="min_spots", minimum=1)
    params = {"use_rep": use_rep, "n_repeats": n_repeats, "min_spots": min_spots}
    if isinstance(rng, int | np.integer):
        params["rng"] = seed_of(rng)
    repeats = {"n_repeats": n_repeats, "min_spots": min_spots}
    found = fit_stability(z, candidates, **repeats, rng=as_generator(rng), progress=progress)
    adata.uns[_keys.N_DOMAINS] = found.record(params)
    return found.best
