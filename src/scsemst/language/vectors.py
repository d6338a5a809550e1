"""Gene vectors for a list of gene names, from whichever source `model` names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scsemst._checks import available, require_in, require_key

from .bundled import bundled_hash, load_vectors
from .genes import ORGANISMS, load_genes, match_genes, table_hash
from .organism import detect_organism
from .tables import is_table, match_keys, read_table
from .texts import DEFAULT_TEMPLATE, gene_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

    from .encoders import Encoder

BUNDLED = "bundled"


class GeneVectors(NamedTuple):
    """Vectors of genes, one row per name asked for."""

    vectors: np.ndarray
    """`float32`, shape `(n_names, d)`; centred, of root mean square length near 1; zero where nothing matched."""
    matched: np.ndarray
    """`bool`, shape `(n_names,)`."""
    report: dict[str, Any]
    """Model, organism, numbers of genes and hash of the table; fit for `adata.uns`."""


def gene_vectors(
    genes: AnnData | Sequence[str],
    *,
    model: str | Path | pd.DataFrame | Mapping | Encoder = BUNDLED,
    organism: str | None = None,
    gene_symbols: str | None = None,
    texts: pd.DataFrame | None = None,
    template: str = DEFAULT_TEMPLATE,
    allow_pickle: bool = False,
    progress: bool = True,
    **encoder_options: Any,
) -> GeneVectors:
    """Vectors of genes: bundled, from a table, or from a language model that reads the genes' texts.

    Parameters
    ----------
    genes
        Annotated data, or names of genes.
    model
        `"bundled"`; a table (see :func:`~scsemst.language.tables.read_table`); an encoder, or what
        :func:`~scsemst.language.encoders.get_encoder` makes one from.
    organism
        `"human"` or `"mouse"`; told from the names if `None`.
    gene_symbols
        Column of `adata.var` with symbols or Ensembl ids; `var_names` if `None`.
    texts
        What an encoder reads of each gene: genes as index, columns for the `template`. The bundled gene table, with
        `symbol`, `name` and `go`, if `None`.
    template
        How an encoder's text is put together from the columns.
    allow_pickle
        Whether a table or the weights of a model may be read from a pickle, which can run any code.
    progress
        Show a progress bar while a model reads.
    encoder_options
        Passed to :func:`~scsemst.language.encoders.get_encoder`.

    Returns
    -------
    Vectors, mask and report.

    Raises
    ------
    ValueError
        If the organism is unknown, no gene matches, or none has a text.
    TypeError
        If `model` is no source of vectors, or has no use for what else was passed.

    Examples
    --------
    >>> from scsemst.language import gene_vectors
    >>> vectors, matched, report = gene_vectors(["GFAP", "ENSG00000132639.16", "AL669831.5"])
    >>> matched.tolist()
    [True, True, False]
    """
    names = gene_names(genes, gene_symbols)
    if organism is not None:
        require_in(organism, ORGANISMS, name="organism")
    reading = {
        **({} if texts is None else {"texts": texts}),
        **({} if template == DEFAULT_TEMPLATE else {"template": template}),
        **encoder_options,
    }
    if isinstance(model, str) and model == BUNDLED:
        _refuse(reading, f"model={BUNDLED!r}")
        organism = organism or detect_organism(names)
        rows = match_genes(names, organism)
        source, model_id, digest = load_vectors(organism), BUNDLED, bundled_hash(organism)
    elif is_table(model):
        _refuse(reading, "a table of vectors")
        organism = organism or _detect(names)
        table = read_table(model, allow_pickle=allow_pickle)
        rows = match_keys(names, table.names, organism)
        source, model_id, digest = standardize(table.vectors), "table", table.id
    else:
        if texts is None:
            organism = organism or detect_organism(names)
            texts, digest = load_genes(organism), table_hash(organism)
            rows = match_genes(names, organism)
        else:
            organism, digest = organism or _detect(names), _digest(texts)
            rows = match_keys(names, texts.index.astype(str).tolist(), organism)
        _require_match(rows, names, organism)
        # Only the genes at hand are read, each once; a gene without a text gets no vector
        found, inverse = np.unique(rows[rows >= 0], return_inverse=True)
        encoder = _encoder(model, allow_pickle=allow_pickle, **encoder_options)
        read = gene_texts(texts.iloc[found], template=template)
        has_text = np.array([bool(text) for text in read])
        if not has_text.any():
            raise ValueError(f"template={template!r} makes no text for any gene: these columns of texts are empty.")
        source = standardize(encoder.encode([text for text in read if text], progress=progress))
        rows[rows >= 0] = np.where(has_text, np.cumsum(has_text) - 1, -1)[inverse]
        model_id = encoder.id
    _require_match(rows, names, organism)
    matched = rows >= 0
    vectors = np.zeros((len(names), source.shape[1]), dtype=np.float32)
    vectors[matched] = source[rows[matched]]
    report = {"model": model_id, "n_genes": len(names), "n_genes_matched": int(matched.sum()), "table_hash": digest}
    if organism is not None:
        report["organism"] = organism
    return GeneVectors(vectors, matched, report)


def gene_names(genes: AnnData | Sequence[str], gene_symbols: str | None = None) -> list[str]:
    """Names of genes: `var_names`, a column of `adata.var`, or the sequence itself."""
    if not hasattr(genes, "var_names"):
        return [str(name) for name in genes]
    if gene_symbols is None:
        return [str(name) for name in genes.var_names]
    fix = "Pass gene_symbols=None to use adata.var_names."
    return [str(name) for name in np.asarray(require_key(genes, "var", gene_symbols, fix=fix))]


def standardize(vectors: np.ndarray) -> np.ndarray:
    """Centre vectors and scale them, all alike, to a root mean square length of 1.

    Language models put all texts into a narrow cone: without centring every gene resembles every other.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    length = np.sqrt((centred**2).sum(axis=1).mean())
    return (centred / length if length > 0 else centred).astype(np.float32)


def _encoder(model: object, **options: Any) -> Encoder:
    from .encoders import Encoder, get_encoder

    if isinstance(model, Encoder):
        options.pop("allow_pickle")
        _refuse(options, "an encoder that is ready")
        return model
    if not isinstance(model, (str, Path)):
        raise TypeError(
            f"model={model!r} of type {type(model).__name__} is no source of gene vectors. Pass {BUNDLED!r}, a data frame, "
            "a dictionary, the name or folder of a language model, or an encoder."
        )
    return get_encoder(model, **options)


def _digest(texts: pd.DataFrame) -> str:
    """Return a short hash of a table of texts, whatever is in it."""
    return hashlib.sha256(texts.to_csv().encode()).hexdigest()[:16]


def _detect(names: Sequence[str]) -> str | None:
    # A table brings its own names: the organism is needed only to look up synonyms.
    try:
        return detect_organism(names)
    except ValueError:
        return None


def _refuse(options: dict[str, Any], what: str) -> None:
    if options:
        raise TypeError(
            f"{', '.join(options)}: for a language model that reads, but {what} has no use for it. Leave it out, or name "
            "a model of the Hugging Face hub, a folder or an endpoint in model=."
        )


def _require_match(rows: np.ndarray, names: Sequence[str], organism: str | None) -> None:
    if not (rows >= 0).any():
        raise ValueError(
            f"None of the {len(names)} genes was found (organism: {organism or 'unknown'}; the first names are "
            f"{available(names[:3])}). Pass organism=, or gene_symbols= to name the column of adata.var with symbols "
            "or Ensembl ids."
        )
