"""Gene vectors that the user brings: data frames, dictionaries and files."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .genes import VERSION, build_lookup, match_genes, match_names

if TYPE_CHECKING:
    from collections.abc import Sequence

_PICKLES = (".pkl", ".pickle")
_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npz", ".h5ad", *_PICKLES)


class VectorTable(NamedTuple):
    """Vectors of genes, and where they come from."""

    names: list[str]
    """Symbols or Ensembl ids."""
    vectors: np.ndarray
    """`float32`, shape `(n_names, d)`."""
    id: str
    """Hash of names and vectors, first 16 hex digits of SHA-256."""


def is_table(model: object) -> bool:
    """Whether `model` is a table of vectors, or the path of one, and not a language model."""
    if isinstance(model, (pd.DataFrame, Mapping)):
        return True
    return isinstance(model, (str, Path)) and str(model).lower().endswith(_SUFFIXES)


def read_table(model: pd.DataFrame | Mapping | str | Path, *, allow_pickle: bool = False) -> VectorTable:
    """Read gene vectors.

    Parameters
    ----------
    model
        One of

        - a :class:`~pandas.DataFrame` with genes as index (or in its first column) and numbers in the other columns,
        - a dictionary of vectors by gene,
        - a file: `.parquet`, `.csv(.gz)`, `.tsv(.gz)` of such a data frame; `.npz` with one array of names and one
          matrix, or with one array per gene; `.h5ad` with genes as observations; a pickled dictionary or data frame,
          as GenePT's.
    allow_pickle
        Whether a pickle may be read. Reading one can run any code its author put there.

    Returns
    -------
    Names, vectors and hash.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is a pickle and `allow_pickle` is not set, or holds no vectors of one length.
    """
    source = f"{type(model).__name__} passed as model="
    if isinstance(model, (str, Path)):
        source = str(model)
        path = Path(model).expanduser()
        _require_readable(path, allow_pickle=allow_pickle)
        try:
            model = _read_file(path)
        except Exception as error:
            raise ValueError(
                f"{source} cannot be read as a table of gene vectors ({type(error).__name__}: {error}). Save it again, as "
                ".parquet, .csv.gz or .npz; names in a .npz as text: names.astype(str)."
            ) from error
    if isinstance(model, pd.DataFrame):
        names, vectors = _from_frame(model, source)
    elif isinstance(model, Mapping):
        names, vectors = _from_mapping(model, source)
    else:
        raise ValueError(f"{source} holds {type(model).__name__}, not a data frame or a dictionary of gene vectors.")
    if not vectors.size:
        raise ValueError(f"{source} holds no vectors: its shape is {vectors.shape}.")
    with np.errstate(over="ignore"):  # what is too large for single precision becomes infinite, and is refused as such
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError(f"{source} has NaN or infinite values, in single precision. Remove those genes first.")
    if repeated := pd.Index(names)[pd.Index(names).duplicated()].unique().tolist():
        warnings.warn(
            f"{source} has several vectors for {len(repeated)} genes ({', '.join(repeated[:5])}): none of them is used. Leave "
            "one for each.",
            stacklevel=3,
        )
    digest = hashlib.sha256("\n".join(names).encode())
    digest.update(vectors.tobytes())
    return VectorTable(names, vectors, digest.hexdigest()[:16])


def match_keys(names: Sequence[str], keys: Sequence[str], organism: str | None) -> np.ndarray:
    """Find names among the keys of a user's table.

    First as written, then in any case and without version suffix, then, if the organism is known, as synonyms in the
    bundled gene table: symbols find Ensembl ids and the other way round.

    Returns
    -------
    Index into `keys`, −1 where nothing matches; `int64`, one per name.
    """
    tier = [(VERSION.sub(r"\1", str(key).strip()), row) for row, key in enumerate(keys)]
    rows = match_names(names, *build_lookup([tier]))
    if organism is not None and (rows < 0).any():
        gene_of_key = match_genes(keys, organism)
        key_of_gene, _ = build_lookup([[(str(gene), row) for row, gene in enumerate(gene_of_key) if gene >= 0]])
        missing = np.flatnonzero(rows < 0)
        # All names are matched, not the missing only: `GENE-1` is read as `GENE` only where `GENE` is a name too.
        genes = match_genes(names, organism)[missing]
        rows[missing] = [key_of_gene.get(str(gene), -1) for gene in genes]
    return rows


def _require_readable(path: Path, *, allow_pickle: bool) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"model={str(path)!r} names a table of gene vectors, but there is no such file.")
    if path.name.lower().endswith(_PICKLES) and not allow_pickle:
        raise ValueError(
            f"{path} is a pickle, and reading a pickle can run any code its author put there. "
            "Pass allow_pickle=True if you trust it, or save the vectors as .parquet, .csv.gz or .npz."
        )


def _read_file(path: Path) -> object:
    name = path.name.lower()
    if name.endswith(_PICKLES):
        with path.open("rb") as file:
            return pickle.load(file)
    if name.endswith(".parquet"):
        return pd.read_parquet(path)
    if name.endswith(".npz"):
        return _read_npz(path)
    if name.endswith(".h5ad"):
        from anndata import read_h5ad

        return read_h5ad(path).to_df()
    table = pd.read_csv(path, sep="\t" if ".tsv" in name else ",")
    _require_header(table, path)
    return table


def _require_header(table: pd.DataFrame, path: Path) -> None:
    """Raise if the first line is a gene with its vector: its numbers are then no running numbers of columns."""
    names = [str(column) for column in table.columns[1:]]
    numbers = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce")
    # Most, not all: pandas renames what repeats
    if numbers.notna().sum() > len(names) / 2 and not (numbers.diff().iloc[1:] == 1).all():
        raise ValueError(
            f"{path} has no header: its first line, {table.columns[0]!r}, would be lost. Add a line of names."
        )


def _read_npz(path: Path) -> object:
    with np.load(path, allow_pickle=False) as archive:  # a pickle inside is refused
        arrays = {key: archive[key] for key in archive.files}
    names = [array for array in arrays.values() if array.ndim == 1 and array.dtype.kind in "US"]
    matrices = [array for array in arrays.values() if array.ndim == 2 and array.dtype.kind in "fiu"]
    if len(names) == 1 and len(matrices) == 1:
        if len(names[0]) != len(matrices[0]):
            raise ValueError(f"{path} has {len(names[0])} names but {len(matrices[0])} vectors.")
        return pd.DataFrame(matrices[0], index=names[0].astype(str))
    return arrays


def _from_frame(table: pd.DataFrame, source: str) -> tuple[list[str], np.ndarray]:
    names = [column for column, dtype in table.dtypes.items() if not _is_number(dtype)]
    numbered = isinstance(table.index, pd.RangeIndex) or (names and pd.api.types.is_integer_dtype(table.index))
    if numbered and table.shape[1]:
        if not names:
            raise ValueError(f"{source} has no column of gene names, only numbers.")
        if len(names) == 1:  # beside it, the running number that pandas has written
            unnamed = [column for column in table.columns if str(column).startswith("Unnamed: ")]
            table = table.set_index(names[0]).drop(columns=unnamed, errors="ignore")
        else:
            table = table.set_index(table.columns[0]) if table.columns[0] in names else table
    text = [str(column) for column, dtype in table.dtypes.items() if not _is_number(dtype)]
    if text:
        raise ValueError(f"{source} has columns that are not numbers: {', '.join(text[:5])}. Drop them first.")
    values = table.to_numpy()
    if values.dtype == object:  # columns of pandas' own types, with pandas' own missing value
        values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    return [str(name) for name in table.index], values


def _is_number(dtype: object) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)


def _from_mapping(table: Mapping, source: str) -> tuple[list[str], np.ndarray]:
    vectors = [np.asarray(vector) for vector in table.values()]
    shapes = sorted({vector.shape for vector in vectors})
    if len(shapes) != 1 or len(shapes[0]) != 1 or any(vector.dtype.kind not in "fiu" for vector in vectors):
        raise ValueError(f"{source} must hold one vector per gene, all of one length; found shapes {shapes[:5]}.")
    return [str(name) for name in table], np.stack(vectors)
