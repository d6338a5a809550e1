"""Semantics for an embedding computed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from .. import _keys
from .._checks import as_generator, features, require_in, require_integer, require_new_key, require_positive
from .._table import get_table

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from .._types import Seed


def modulate(
    adata: AnnData | SpatialData,
    use_rep: str = "X_scVI",
    *,
    semantics_key: str = _keys.GENE_SEMANTICS,
    semantic_hops: int = 0,
    neighbors_key: str = _keys.SPATIAL_CONNECTIVITIES,
    layer: str | None = None,
    n_top_genes: int = 3000,
    likelihood: Literal["zinb", "nb", "poisson", "gaussian"] = "zinb",
    hidden_channels: int = 64,
    epochs: int = 100,
    learning_rate: float = 5e-3,
    device: str = "auto",
    rng: Seed = 0,
    key_added: str | None = None,
    progress: bool = True,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    r"""Modulate an embedding computed elsewhere by the meaning of genes.

    Fine-grained semantic modulation :cite:p:`Long_2025` without the rest of the model:
    :math:`z' = (1 + \alpha) \odot z + \beta`, with :math:`\alpha, \beta` from each spot's semantic vector. It starts
    as the identity and is trained, together with a decoder, to explain the counts from the modulated embedding. The
    embedding itself stays as it is, and no label is read. Time and memory are linear in spots.

    Parameters
    ----------
    adata
        Annotated data matrix, spots × genes.
    use_rep
        Key in `obsm` of the embedding, from any method, shape `(n_obs, n_features)`.
    semantics_key
        Key in `obsm` of the spots' semantic vectors, from :func:`scsemst.pp.gene_semantics` or
        :func:`scsemst.pp.spot_semantics`.
    semantic_hops
        How often to average the semantic vectors over the spatial graph first. For an embedding that is smooth in space,
        2 or so, as in :func:`scsemst.tl.semst`: otherwise each spot's own, noisy vector makes it rough again.
    neighbors_key
        Key in `obsp` of the spatial graph, read if `semantic_hops` is not 0.
    layer
        Layer with the raw counts, `X` by default.
    n_top_genes
        Number of highly variable genes to explain; all expressed genes if there are no more.
    likelihood
        Distribution of the counts, as in :func:`scsemst.tl.semst`.
    hidden_channels
        Size of the modulation's hidden layers.
    epochs
        Most epochs of training; it stops earlier once the objective settles.
    learning_rate
        Of Adam.
    device
        `"auto"` (a GPU if there is one), or a torch device such as `"cpu"` or `"cuda:0"`.
    rng
        Seed or generator. The global random state is neither read nor changed.
    key_added
        Key to write to; by default `use_rep` followed by `"_semst"`.
    progress
        Show a progress bar.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Return a copy instead of writing to `adata`.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.obsm[key_added]` : :class:`numpy.ndarray`
        The modulated embedding, float32, shape `(n_obs, n_features)`.
    `adata.obsm[key_added + "_alpha"]`, `adata.obsm[key_added + "_beta"]` : :class:`numpy.ndarray`
        Scaling and shift of each spot and feature, float32, shape `(n_obs, n_features)`.
    `adata.uns[key_added]` : :class:`dict`
        `"params"`, `"history"` (objective per epoch), `"versions"`, the provenance of the semantics, and the
        modulation's weights in `"fsm"`, which :func:`scsemst.tl.semantic_drivers` reads.

    Raises
    ------
    KeyError
        If the embedding, the semantics, the layer or the spatial graph that is to be read are missing.
    ValueError
        If the embedding or the semantics have NaN values or are the same for every spot, or the expression is not as
        :func:`scsemst.tl.semst` needs it.

    See Also
    --------
    scsemst.tl.domains : domains from the result, by `use_rep=`.
    scsemst.pl.modulation : where in the tissue which features are changed.
    scsemst.nn.FSM : the same as a torch module, for models of one's own.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:500].copy()
    >>> scsemst.pp.gene_semantics(adata)
    >>> adata.obsm["X_pca"] = sc.pp.pca(adata.X.log1p(), n_comps=10)
    >>> scsemst.tl.modulate(adata, "X_pca", epochs=3)
    >>> adata.obsm["X_pca_semst"].shape
    (500, 10)
    """
    adata = get_table(adata, table_key, copy=copy)
    require_in(likelihood, ("zinb", "nb", "poisson", "gaussian"), name="likelihood")
    sizes = {"n_top_genes": n_top_genes, "hidden_channels": hidden_channels, "epochs": epochs}
    sizes = {name: require_integer(value, name=name, minimum=1) for name, value in sizes.items()}
    semantic_hops = require_integer(semantic_hops, name="semantic_hops", minimum=0)
    learning_rate = require_positive(learning_rate, name="learning_rate")
    key_added = _keys.modulated(use_rep) if key_added is None else key_added
    require_new_key(key_added, name="key_added")
    if key_added in (use_rep, semantics_key):
        read = "embedding" if key_added == use_rep else "semantics"
        raise ValueError(f"key_added={key_added!r} would overwrite the {read} that is read. Choose another key.")
    z = _matrix(adata, use_rep, fix="Compute the embedding first, for example with scvi-tools, or pass use_rep=.")

    from scsemst.graphs import spatial_graph
    from scsemst.training import resolve_device, run_record, seed_record
    from scsemst.training.components import averaging_operator
    from scsemst.training.expression import read_expression
    from scsemst.training.modulate import store_fsm, train_modulation
    from scsemst.training.semantics import standard_semantics

    average = averaging_operator(spatial_graph(adata, neighbors_key)) if semantic_hops else None
    fix = "Run scsemst.pp.gene_semantics(adata) first, or pass semantics_key= to name another."
    semantics = standard_semantics(adata, semantics_key, average=average, n_hops=semantic_hops, fix=fix)
    expression = read_expression(adata, layer=layer, n_top_genes=sizes["n_top_genes"], likelihood=likelihood)
    generator = as_generator(rng)
    seed = seed_record(rng, generator)
    trained = train_modulation(
        z,
        semantics.vectors,
        expression,
        likelihood=likelihood,
        hidden_channels=sizes["hidden_channels"],
        epochs=sizes["epochs"],
        learning_rate=learning_rate,
        device=resolve_device(device),
        rng=generator,
        progress=progress,
    )
    params = {
        "use_rep": use_rep,
        "semantics_key": semantics_key,
        "semantic_hops": semantic_hops,
        "neighbors_key": neighbors_key,
        "layer": layer,
        "n_genes": expression.genes.size,
        "likelihood": likelihood,
        **sizes,
        "learning_rate": learning_rate,
        **seed,
    }
    record = run_record(adata, params, trained.history, semantics_key)
    record["fsm"] = store_fsm(
        trained.fsm, semantics.standard, feature_scale=trained.feature_scale, n_hops=semantic_hops
    )

    adata = adata.copy() if copy else adata
    adata.obsm[key_added] = (1 + trained.alpha) * z + trained.beta
    adata.obsm[_keys.alpha(key_added)] = trained.alpha
    adata.obsm[_keys.beta(key_added)] = trained.beta
    adata.uns[key_added] = record
    return adata if copy else None


def _matrix(adata: AnnData, key: str, *, fix: str) -> np.ndarray:
    """Return a matrix of `obsm` whose rows differ."""
    x = features(adata, key, fix=fix).astype(np.float32)
    if np.sqrt(x.var(axis=0).mean()) <= 1e-6 * np.abs(x).max(initial=0):
        raise ValueError(f"adata.obsm[{key!r}] is the same for every spot: there is nothing to modulate. {fix}")
    return x
