"""Gene names and summaries of NCBI Gene."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal

from scsemst._checks import require_in
from scsemst._settings import settings

if TYPE_CHECKING:
    import pandas as pd

BASE_URL = "https://ftp.ncbi.nlm.nih.gov/gene/DATA"
_ORGANISMS = {"human": ("Homo_sapiens", "9606"), "mouse": ("Mus_musculus", "10090")}
_COLUMNS = {
    "GeneID": "gene_id",
    "Symbol": "symbol",
    "description": "name",
    "Synonyms": "aliases",
    "dbXrefs": "ensembl",
    "type_of_gene": "type",
}


def gene_info(organism: Literal["human", "mouse"], *, summaries: bool = True, update: bool = False) -> pd.DataFrame:
    """Gene names, aliases, Ensembl ids and summaries from NCBI Gene.

    A table for the texts of :func:`scsemst.pp.gene_semantics`, of all kinds of genes and as new as NCBI's files, which
    change daily. They are downloaded once (human: about 5 MB of names; summaries of all organisms: about 50 MB) and
    kept in `settings.cache_dir`.

    Parameters
    ----------
    organism
        Organism of the genes.
    summaries
        Whether to add the RefSeq summaries; few mouse genes have one.
    update
        Whether to download anew what is already there.

    Returns
    -------
    One row per gene, indexed by symbol, with the columns `gene_id`, `symbol`, `name`, `aliases` and `ensembl` (both joined by `|`), `type`
    and, if asked for, `summary`. What NCBI does not know is an empty string.

    Raises
    ------
    ConnectionError
        If a file cannot be downloaded.
    ValueError
        If the organism is unknown, or a file does not look as expected.

    Examples
    --------
    >>> import scsemst
    >>> genes = scsemst.datasets.gene_info("human")  # doctest: +SKIP
    >>> scsemst.pp.gene_semantics(  # doctest: +SKIP
    ...     adata, model="BAAI/bge-small-en-v1.5", texts=genes, template="{symbol}: {name}. {summary}"
    ... )
    """
    require_in(organism, _ORGANISMS, name="organism")
    folder, taxon = _ORGANISMS[organism]
    table = _read(f"GENE_INFO/Mammalia/{folder}.gene_info.gz", ["#tax_id", *_COLUMNS], update=update)
    table = table[table["#tax_id"] == taxon].drop(columns="#tax_id").rename(columns=_COLUMNS)
    table["ensembl"] = table["ensembl"].str.findall(r"Ensembl:(ENS\w+)").str.join("|")
    if summaries:
        known = _read("gene_summary.gz", ["GeneID", "Summary"], update=update).drop_duplicates("GeneID")
        table["summary"] = table["gene_id"].map(known.set_index("GeneID")["Summary"]).fillna("")
    return table.set_axis(table["symbol"].to_numpy(dtype=object), axis=0)


def _read(file: str, columns: list[str], *, update: bool) -> pd.DataFrame:
    import pandas as pd
    import pooch
    from requests import RequestException

    folder = settings.cache_dir / "ncbi"
    name = file.rsplit("/", maxsplit=1)[-1]
    old = folder / f"{name}.old"
    if update and (folder / name).exists():
        (folder / name).replace(old)  # pooch downloads only what is not there
    url = f"{BASE_URL}/{file}"
    try:
        # No hash: NCBI replaces the files daily. Pooch moves a download to its place only when it is whole.
        path = pooch.retrieve(url, known_hash=None, fname=name, path=folder, progressbar=True)
    except (RequestException, OSError) as error:
        if old.exists():
            old.replace(folder / name)
        raise ConnectionError(
            f"{url} could not be downloaded ({error}). Download it by other means and put it into {str(folder)!r}."
        ) from error
    old.unlink(missing_ok=True)
    try:
        # A lone "-" is how NCBI leaves a field empty; quotes are part of the text.
        table = pd.read_csv(path, sep="\t", usecols=columns, dtype=str, quoting=3, na_values="-", keep_default_na=False)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} is not the file of NCBI Gene ({error}). Pass update=True.") from error
    return table[columns].fillna("")
