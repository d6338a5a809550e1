"""Spot vectors from the language-model meaning of the genes each spot expresses."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from scsemst import _keys
from scsemst._checks import expression, require_names, require_new_key, require_positive
from scsemst._table import get_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from spatialdata import SpatialData

    from scsemst.language.encoders import Encoder

logger = logging.getLogger("scsemst")

WARN_SHARE = 0.7
MIN_SHARE = 0.1


def gene_semantics(
    adata: AnnData | SpatialData,
    *,
    model: str | Path | pd.DataFrame | Mapping | Encoder = "bundled",
    organism: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    texts: pd.DataFrame | None = None,
    template: str = "{symbol}: {name}. {go}",
    target_sum: float | None = None,
    allow_pickle: bool = False,
    progress: bool = True,
    key_added: str = _keys.GENE_SEMANTICS,
    table_key: str = _keys.TABLE,
    copy: bool = False,
    **encoder_options: Any,
) -> AnnData | None:
    """Sum the language-model vectors of genes over each spot's expression.

    Counts are normalised to the library size, log-transformed and centred per gene, so that a spot's vector says what
    is special about the spot; then multiplied with the gene vectors. Expression is never densified, and is read
    chunk by chunk: sparse, dense, backed and dask matrices all work.

    Parameters
    ----------
    adata
        Annotated data, spots × genes.
    model
        Where gene vectors come from:

        - `"bundled"`: a table in the package, human and mouse, made by all-MiniLM-L6-v2 from each gene's symbol, full
          name and GO process terms;
        - a precomputed table: :class:`~pandas.DataFrame` with genes as index, dictionary, `.parquet`, `.csv(.gz)`,
          `.npz`, `.h5ad`, or a pickle as GenePT's; symbols or Ensembl ids in any case;
        - a Hugging Face hub id, local folder or `.gguf` file, or with `base_url=` the model's name at an
          OpenAI-compatible endpoint: it reads `texts`.
    organism
        `"human"` or `"mouse"`; told from the gene names if `None`.
    layer
        Layer with the counts; `adata.X` if `None`.
    gene_symbols
        Column of `adata.var` with symbols or Ensembl ids; `adata.var_names` if `None`.
    texts
        What a language model reads of each gene: a data frame with genes as index and the columns that `template`
        names. The bundled gene table, with the columns `symbol`, `name` and `go`, if `None`.
    template
        How the columns become a language model's text.
    target_sum
        Counts per spot after normalisation; if `None`, their median over spots with counts, as in
        :func:`scanpy.pp.normalize_total`.
    allow_pickle
        Whether a pickled table or model may be read. Reading one can run any code its author put there.
    progress
        Show a progress bar if it takes more than two seconds.
    key_added
        Key of the result in `adata.obsm` and `adata.uns`.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Whether to return a copy instead of writing to `adata`.
    encoder_options
        How a language model runs: `pooling`, `revision`, `trust_remote_code`, `batch_size`, `device`, `base_url`,
        `cache` and others of :func:`~scsemst.language.encoders.get_encoder`.

    Returns
    -------
    `None`, or the copy if `copy=True`. Sets the following fields:

    `adata.obsm["X_gene_semantics" | key_added]` : :class:`numpy.ndarray` (dtype `float32`, shape `(n_obs, d)`)
        Spot vectors, of unit-order length: scaled together so that unrelated gene vectors would give a mean squared
        length of 1. Spots without counts have the zero vector.
    `adata.varm["X_gene_semantics" | key_added]` : :class:`numpy.ndarray` (dtype `float32`, shape `(n_vars, d)`)
        Gene vectors; genes without one have the zero vector.
    `adata.uns["X_gene_semantics" | key_added]` : :class:`dict`
        `params`, `model`, `organism`, numbers of genes (`n_genes`, `n_genes_matched`), `share_of_counts` on matched
        genes, `target_sum` as given or found, `n_empty_spots`, `table_hash` and package `version`.

    Raises
    ------
    ValueError
        If the organism cannot be told, no gene matches, matched genes hold less than a tenth of the counts, or the
        matrix has negative or NaN values. Below 70 % of the counts there is a warning.
    TypeError
        If `model` is none of the above, or has no use for `texts`, `template` or options that were passed.
    KeyError
        If `layer` or `gene_symbols` does not exist.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> scsemst.pp.gene_semantics(adata)
    >>> adata.obsm["X_gene_semantics"].shape[0]
    2929
    """
    from importlib.metadata import version

    from scsemst.language import gene_vectors
    from scsemst.semantics.aggregate import aggregate

    adata = get_table(adata, table_key, copy=copy)
    require_names(adata)
    require_new_key(key_added, name="key_added")
    target_sum = None if target_sum is None else require_positive(target_sum, name="target_sum")
    x = expression(adata, layer)
    genes = gene_vectors(
        adata,
        model=model,
        organism=organism,
        gene_symbols=gene_symbols,
        texts=texts,
        template=template,
        allow_pickle=allow_pickle,
        progress=progress,
        **encoder_options,
    )
    name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    spots = aggregate(x, genes.vectors, matched=genes.matched, target_sum=target_sum, name=name, progress=progress)
    n_empty = int(spots.empty.sum())
    _report(genes.report, spots.matched_share, n_empty, key_added)

    params = {
        "layer": layer,
        "gene_symbols": gene_symbols,
        "target_sum": target_sum,
        "template": template,
        "model": str(model) if isinstance(model, str) or hasattr(model, "__fspath__") else type(model).__name__,
        # Not base_url: an address can carry a password. The model's id in `report` names the host without it.
        **{
            key: value
            for key, value in encoder_options.items()
            if key != "base_url" and isinstance(value, (str, int, float, bool))
        },
    }
    adata = adata.copy() if copy else adata
    adata.obsm[key_added] = spots.vectors
    adata.varm[key_added] = genes.vectors
    adata.uns[key_added] = {
        # None cannot be written by every version of anndata.
        "params": {key: value for key, value in params.items() if value is not None},
        **genes.report,
        "share_of_counts": spots.matched_share,
        "target_sum": spots.target_sum,
        "n_empty_spots": n_empty,
        "version": version("scsemst"),
    }
    return adata if copy else None


def _report(report: Mapping[str, Any], share: float, n_empty: int, key: str) -> None:
    found = f"{report['n_genes_matched']} of {report['n_genes']} genes, which hold {share:.1%} of the counts"
    if share < MIN_SHARE:
        raise ValueError(
            f"Gene vectors were found for {found}: too few to say what a spot expresses (organism: "
            f"{report.get('organism', 'unknown')}). Check organism= and gene_symbols=."
        )
    logger.info("%s: vectors (%s) for %s.", key, report["model"], found)
    if share < WARN_SHARE:
        warnings.warn(f"Gene vectors were found for only {found}. Check organism= and gene_symbols=.", stacklevel=3)
    if n_empty:
        logger.warning("%d spots have no counts: their vectors in adata.obsm[%r] are zero.", n_empty, key)
