"""Domains from the latent space by a Gaussian mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _keys
from .._checks import as_generator, features, require_integer, require_new_key, seed_of
from .._results import clear_probability, require_unused
from .._table import get_table

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from .._types import Seed


def domains(
    adata: AnnData | SpatialData,
    n_domains: int,
    *,
    use_rep: str = _keys.embedding(_keys.SEMST),
    n_init: int = 100,
    key_added: str = _keys.SEMST,
    rng: Seed = 0,
    progress: bool = True,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Cluster spots into a given number of domains with a tied-covariance Gaussian mixture.

    The model that mclust calls EEE, the field's usual last step, without R.

    Parameters
    ----------
    adata
        Annotated data matrix.
    n_domains
        Number of domains; exactly as many are returned, none of them empty.
    use_rep
        Key in `obsm` of the representation to cluster, shape `(n_obs, n_features)`.
    n_init
        Number of starts, of which the one of highest likelihood is kept. Fewer are faster and less stable.
    key_added
        Key in `obs` and `uns` to write to.
    rng
        Seed or generator of the starts.
    progress
        Show a progress bar if the starts take more than two seconds.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Return a copy instead of writing to `adata`.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.obs[key_added]` : :class:`pandas.Categorical`
        Domain of each spot: "0", "1", … by decreasing size.
    `adata.uns[key_added]["domains"]` : :class:`dict`
        Method, parameters, log-likelihood and Bayesian information criterion (lower is better). Other entries of
        `adata.uns[key_added]` are kept.

    Raises
    ------
    KeyError
        If `use_rep` is not in `adata.obsm`.
    ValueError
        If the representation has NaN values, or fewer distinct rows than `n_domains`.

    See Also
    --------
    scsemst.tl.leiden_domains : graph clustering, for when no number of domains is known.

    References
    ----------
    Scrucca et al. (2016), mclust 5: clustering, classification and density estimation using Gaussian finite mixture
    models. The R Journal 8, 289.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:500, :300].copy()
    >>> sc.pp.pca(adata, n_comps=10)
    >>> scsemst.tl.domains(adata, 4, use_rep="X_pca", n_init=5)
    >>> list(adata.obs["semst"].cat.categories)
    ['0', '1', '2', '3']
    """
    from ..domains.labels import categorical
    from ..domains.mixture import fit_mixture

    adata = get_table(adata, table_key, copy=copy)
    require_new_key(key_added, name="key_added")
    require_unused(adata, key_added)
    z = features(adata, use_rep, fix="Run scsemst.tl.semst(adata) first, or pass use_rep=.")
    n_domains = require_integer(n_domains, name="n_domains", minimum=1, maximum=adata.n_obs)
    mixture = fit_mixture(z, n_domains, n_init=n_init, rng=as_generator(rng), progress=progress)

    record = {
        "method": "mixture",
        "n_domains": n_domains,
        "use_rep": use_rep,
        "n_init": n_init,
        **({"rng": seed_of(rng)} if isinstance(rng, (int, np.integer)) else {}),
        "log_likelihood": mixture.log_likelihood,
        "bic": mixture.bic,
    }
    kept = dict(adata.uns.get(key_added, {}))

    adata = adata.copy() if copy else adata
    adata.obs[key_added] = categorical(mixture.labels)
    clear_probability(adata, key_added)
    adata.uns[key_added] = {**kept, "domains": record}
    return adata if copy else None
