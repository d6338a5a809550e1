"""Which genes' meaning drives the modulation of a domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _keys
from .._checks import expression, features, require_integer, require_key, require_new_key
from .._checks import labels as _labels
from .._chunks import whole
from .._table import get_table

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


def semantic_drivers(
    adata: AnnData | SpatialData,
    key: str = _keys.SEMST,
    *,
    modulation_key: str = _keys.SEMST,
    n_genes: int | None = 50,
    n_steps: int = 16,
    key_added: str = _keys.SEMANTIC_DRIVERS,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Attribute what sets each domain's semantic modulation apart to the meaning of single genes.

    Scaling and shift of a domain's spots, α and β, differ from those of all spots on average; how far a spot goes in
    that direction is traced back through the modulation to the spot's semantic vector, and from there, since that
    vector is a sum over genes, to each gene. Gradients are integrated from the average spot to the spot itself
    (Sundararajan et al., 2017), with the denominator of the layer norm held fixed (Ali et al., 2022), so that the
    contributions of all genes add up to what is explained.

    Parameters
    ----------
    adata
        Annotated data matrix with gene semantics, as it was when :func:`scsemst.pp.gene_semantics` ran.
    key
        Key in `obs` of the domains.
    modulation_key
        Key in `uns` of a run of :func:`scsemst.tl.semst` or :func:`scsemst.tl.modulate`, for example
        `"X_scVI_semst"`.
    n_genes
        Genes to keep for each domain, those of largest contribution; `None` for all.
    n_steps
        Steps of the integral.
    key_added
        Key in `uns` to write to.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Return a copy instead of writing to `adata`.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.uns[key_added]` : :class:`pandas.DataFrame`
        `domain`, `gene`, `contribution`, and the parts of it that go through the scaling (`alpha`) and through the
        shift (`beta`); for each domain by decreasing contribution. `total` is the domain's sum over all genes.

    Raises
    ------
    KeyError
        If labels, modulation, semantics or gene vectors are missing; says which call writes them.
    ValueError
        If expression or semantics are no longer those that the spot vectors were made from, or there are fewer than
        two domains.

    See Also
    --------
    scsemst.pl.modulation : where in the tissue.

    References
    ----------
    Sundararajan, Taly & Yan (2017), Axiomatic attribution for deep networks. ICML.
    Ali, Schnake, Eberle, Montavon, Müller & Wolf (2022), XAI for transformers: better explanations through conservative
    propagation. ICML.

    Examples
    --------
    >>> import scanpy as sc
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()[:500].copy()
    >>> scsemst.pp.gene_semantics(adata)
    >>> adata.obsm["X_pca"] = sc.pp.pca(adata.X.log1p(), n_comps=10)
    >>> scsemst.tl.modulate(adata, "X_pca", epochs=3)
    >>> scsemst.tl.domains(adata, 3, use_rep="X_pca_semst", n_init=5)
    >>> scsemst.tl.semantic_drivers(adata, modulation_key="X_pca_semst", n_genes=2)
    >>> list(adata.uns["semantic_drivers"]["domain"])
    ['0', '0', '1', '1', '2', '2']
    """
    import pandas as pd

    adata = get_table(adata, table_key, copy=copy)
    require_new_key(key_added, name="key_added")
    n_steps = require_integer(n_steps, name="n_steps", minimum=1)
    if n_genes is not None:
        n_genes = require_integer(n_genes, name="n_genes", minimum=1)
    fix = "Run scsemst.tl.domains(adata, …) or scsemst.tl.semst(adata, n_domains=…) first, or pass key=."
    labels = pd.Categorical(_labels(adata, key, fix=fix)).remove_unused_categories()
    if len(labels.categories) < 2:
        raise ValueError(f"adata.obs[{key!r}] has fewer than two domains: there is nothing to set apart.")
    fix = "Run scsemst.tl.modulate(adata, …) or scsemst.tl.semst(adata) first, or pass modulation_key=."
    from ..semantics.drivers import attribute, spot_weights
    from ..semantics.modulation import modulator_of

    modulator = modulator_of(adata, modulation_key, fix=fix)
    semantics_key = adata.uns[modulation_key]["params"]["semantics_key"]
    fix = "Run scsemst.pp.gene_semantics(adata) first: only vectors summed over genes can be traced back to genes."
    spots = features(adata, semantics_key, fix=fix)
    vectors = np.asarray(require_key(adata, "varm", semantics_key, fix=fix), dtype=np.float64)
    made = require_key(adata, "uns", semantics_key, fix=fix)
    x = whole(expression(adata, made["params"].get("layer")), name="The expression")

    # That of all spots, of which these may be some
    target_sum = made.get("target_sum", made["params"].get("target_sum"))
    weights = spot_weights(x, vectors, spots, target_sum=target_sum, name=semantics_key, slices=modulator.slices)
    parts = attribute(
        modulator.fsm,
        modulator.semantics,
        labels.codes,
        weights,
        vectors / modulator.standard.scale,
        n_steps=n_steps,
        average=modulator.average,
        n_hops=modulator.n_hops,
    )
    tables = []
    for domain, (alpha, beta) in zip(labels.categories, parts, strict=True):
        contribution = alpha + beta
        best = np.argsort(-contribution, kind="stable")[:n_genes]
        columns = {"contribution": contribution, "alpha": alpha, "beta": beta}
        tables.append(
            pd.DataFrame(
                {"domain": str(domain), "gene": adata.var_names.to_numpy(dtype=object)[best]}
                | {name: values[best] for name, values in columns.items()}
                | {"total": contribution.sum()}
            )
        )
    table = pd.concat(tables, ignore_index=True)
    table.index = pd.Index([str(i) for i in range(len(table))], dtype=object)  # 0.12 can't write others

    adata = adata.copy() if copy else adata
    adata.uns[key_added] = table.astype({"domain": object, "gene": object})
    return adata if copy else None
