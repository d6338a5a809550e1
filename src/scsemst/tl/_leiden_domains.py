"""Domains from the latent space by Leiden clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _keys
from .._checks import as_generator, features, require_integer, require_new_key, require_positive, seed_of
from .._results import clear_probability, require_unused
from .._table import get_table
from .._threads import keep_torch_threads

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from .._types import Seed


def leiden_domains(
    adata: AnnData | SpatialData,
    n_domains: int | None = None,
    *,
    resolution: float = 1.0,
    use_rep: str = _keys.embedding(_keys.SEMST),
    n_neighbors: int = 15,
    key_added: str = _keys.SEMST,
    rng: Seed = 0,
    progress: bool = True,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Cluster spots into domains with Leiden, at a resolution or into a given number.

    Parameters
    ----------
    adata
        Annotated data matrix.
    n_domains
        Number of domains to search a resolution for. If none gives exactly as many, the closest clusters of the next
        finer clustering are merged, and a warning is logged. If `None`, `resolution` decides.
    resolution
        Higher values give more domains. Not used if `n_domains` is given.
    use_rep
        Key in `obsm` of the representation to cluster, shape `(n_obs, n_features)`.
    n_neighbors
        Size of the neighbourhoods in the representation (:func:`scanpy.pp.neighbors`).
    key_added
        Key in `obs` and `uns` to write to.
    rng
        Seed or generator.
    progress
        Show a progress bar if the search takes more than two seconds.
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
        Method and parameters, with the resolution found. Other entries of `adata.uns[key_added]` are kept.

    Raises
    ------
    KeyError
        If `use_rep` is not in `adata.obsm`.
    ValueError
        If the representation has NaN values, or `n_domains` exceeds the number of spots.

    See Also
    --------
    scsemst.tl.domains : Gaussian mixture with a given number of domains.

    References
    ----------
    Traag, Waltman & van Eck (2019), From Louvain to Leiden: guaranteeing well-connected communities. Scientific
    Reports 9, 5233.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:300, :300].copy()
    >>> sc.pp.pca(adata, n_comps=10)
    >>> scsemst.tl.leiden_domains(adata, 4, use_rep="X_pca")
    >>> adata.obs["semst"].nunique()
    4
    """
    import anndata as ad
    import scanpy as sc

    from ..domains.labels import categorical
    from ..domains.leiden import leiden, leiden_for

    adata = get_table(adata, table_key, copy=copy)
    require_new_key(key_added, name="key_added")
    require_unused(adata, key_added)
    z = features(adata, use_rep, fix="Run scsemst.tl.semst(adata) first, or pass use_rep=.").astype(np.float32)
    if adata.n_obs == 1:
        raise ValueError("adata has one spot: it has no neighbours to be clustered with.")
    n_neighbors = require_integer(n_neighbors, name="n_neighbors", minimum=2)
    resolution = require_positive(resolution, name="resolution")
    if n_domains is not None:
        n_domains = require_integer(n_domains, name="n_domains", minimum=1, maximum=adata.n_obs)
    random_state = int(as_generator(rng).integers(2**31))

    carrier = ad.AnnData(shape=(adata.n_obs, 0), obsm={use_rep: z})
    with keep_torch_threads():
        sc.pp.neighbors(carrier, n_neighbors, use_rep=use_rep, random_state=random_state)
    graph = carrier.obsp["connectivities"]
    if n_domains is None:
        labels = leiden(graph, resolution, random_state=random_state)
    else:
        labels, resolution = leiden_for(graph, z, n_domains, random_state=random_state, progress=progress)

    record = {
        "method": "leiden",
        "n_domains": int(labels.max()) + 1 if n_domains is None else n_domains,
        "use_rep": use_rep,
        "n_neighbors": n_neighbors,
        "resolution": float(resolution),
        **({"rng": seed_of(rng)} if isinstance(rng, (int, np.integer)) else {}),
    }
    kept = dict(adata.uns.get(key_added, {}))

    adata = adata.copy() if copy else adata
    adata.obs[key_added] = categorical(labels)
    clear_probability(adata, key_added)
    adata.uns[key_added] = {**kept, "domains": record}
    return adata if copy else None
