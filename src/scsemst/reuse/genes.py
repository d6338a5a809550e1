"""The genes of a model in another slice: found by name, normalised as in training, filled where missing."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from scsemst._checks import available
from scsemst.training.expression import Expression, read_expression

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from scsemst.training.slices import Slices

__all__ = ["AlignedExpression", "GeneSpace", "align_genes", "gene_space", "mean_expression", "require_share"]

log = logging.getLogger("scsemst")

_BLOCK = 16_384


class GeneSpace(NamedTuple):
    """What a model knows of its genes."""

    names: Sequence[str]
    """All genes of the slice it was trained on."""
    share: np.ndarray
    """Share of that slice's counts that each of them had, shape `(len(names),)`."""
    columns: np.ndarray
    """Positions in `names` of the genes that the model reads."""
    means: np.ndarray
    """Mean log-normalised expression of those, shape `(len(columns),)` or, of several slices, one row for each."""


@dataclasses.dataclass(frozen=True)
class AlignedExpression:
    """Expression of a slice in the columns of a model; read as :class:`~scsemst.training.expression.Expression` is."""

    source: Expression
    positions: np.ndarray
    """Column of `source` for each gene of the model, -1 if it has none, shape `(n_genes,)`."""
    fill: np.ndarray
    """What every spot is taken to have of a gene: its mean in training if it is missing, else zero; as `GeneSpace.means`."""
    missing: list[str]
    """Genes of the model that the slice does not have."""
    n_common: int
    """Number of genes that the slice shares with the slice of training."""

    @property
    def n_spots(self) -> int:
        """Number of spots."""
        return self.source.n_spots

    @property
    def share(self) -> float:
        """Share of the model's genes that the slice has."""
        return 1 - len(self.missing) / len(self.positions)

    def rows(self, spots: np.ndarray) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return what the encoder reads, twice; missing genes are empty columns."""
        x, _ = self.source.rows(spots)
        found = np.flatnonzero(self.positions >= 0)
        x = sparse.csr_matrix(x[:, self.positions[found]])
        x = sparse.csr_matrix((x.data, found[x.indices], x.indptr), shape=(len(spots), len(self.positions)))
        return x, x

    def log_library(self, spots: np.ndarray) -> None:
        """Return nothing: there is no decoder to scale."""


def gene_space(
    adata: AnnData, expression: Expression, *, layer: str | None, likelihood: str, slices: Slices | None = None
) -> GeneSpace:
    """Describe the genes of a training slice.

    Parameters
    ----------
    adata
        The slice.
    expression
        What the model read of it.
    layer
        Layer that it was read from.
    likelihood
        Distribution that the model was trained with.
    slices
        Slices whose means are kept one by one.
    """
    whole = _all_genes(adata, layer=layer, likelihood=likelihood)
    share = np.zeros(adata.n_vars)
    for block in _raw_blocks(whole):
        share[whole.genes] += np.asarray(abs(block).sum(axis=0, dtype=np.float64)).ravel()
    return GeneSpace(
        list(map(str, adata.var_names)),
        share / share.sum(),
        expression.genes,
        mean_expression(expression, slices),
    )


def mean_expression(expression: Expression | AlignedExpression, slices: Slices | None) -> np.ndarray:
    """Return the mean of what the encoder reads, shape `(n_genes,)` or, of several slices, `(n_slices, n_genes)`."""
    total: Any = 0.0
    for spots in _spots(expression):
        x = expression.rows(spots)[0]
        total = total + (
            x.sum(axis=0, dtype=np.float64) if slices is None else (slices.take(spots).member @ x).toarray()
        )
    total = np.asarray(total)
    mean = total.ravel() / expression.n_spots if slices is None else total / slices.sizes[:, None]
    return mean.astype(np.float32)


def align_genes(
    adata: AnnData, space: GeneSpace, *, layer: str | None, likelihood: str, normalize: bool | None = None
) -> AlignedExpression:
    """Read a slice in the columns of a model, by gene name.

    Library sizes are those that the spots would have with all genes of the training slice: counts on the genes that
    both slices have, divided by the share of the training slice's counts that these have. So neither more nor fewer
    genes change the scale.

    Parameters
    ----------
    adata
        The slice.
    space
        Genes of the model.
    layer
        Layer to read.
    likelihood
        Distribution that the model was trained with.
    normalize
        Whether values were normalised in training; by their size if `None`.

    Raises
    ------
    ValueError
        If values are no counts where counts are needed.
    """
    whole = _all_genes(adata, layer=layer, likelihood=likelihood, normalize=normalize)
    position = pd.Index(adata.var_names.astype(str)).get_indexer(pd.Index(space.names, dtype=object))
    column = np.full(adata.n_vars + 1, -1)  # the last entry is what position -1 finds
    column[whole.genes] = np.arange(whole.genes.size)
    wanted = position[space.columns]
    missing = [space.names[c] for c in space.columns[wanted < 0]]
    common = position >= 0
    if whole.library is not None and len(missing) < len(wanted):
        columns = column[position[common]]
        columns = columns[columns >= 0]
        counts = np.concatenate([_totals(block[:, columns]) for block in _raw_blocks(whole)])
        whole = dataclasses.replace(whole, library=counts / space.share[common].sum())
    fill = np.where(wanted < 0, space.means, 0).astype(np.float32)
    return AlignedExpression(whole, column[wanted], fill, missing, int(common.sum()))


def require_share(aligned: AlignedExpression, minimum: float, adata: AnnData) -> None:
    """Raise if a slice has too few of a model's genes, or spots without counts of them; log how many are missing."""
    n_genes, n_missing = len(aligned.positions), len(aligned.missing)
    if n_missing == n_genes:
        raise ValueError(
            f"adata has none of the model's {n_genes} genes (the first of adata.var_names are "
            f"{available(adata.var_names[:3])}, the model's {available(aligned.missing[:3])}). Bring adata.var_names to "
            'the model\'s kind of names, or pass through="semantics" if the panels differ.'
        )
    if aligned.share < minimum:
        raise ValueError(
            f"adata has {n_genes - n_missing} of the model's {n_genes} genes ({aligned.share:.0%}), less than "
            f"min_share={minimum:g}; {available(aligned.missing[:3])} are missing, for example. Pass "
            'through="semantics" to go by the meaning of genes, or a lower min_share=.'
        )
    library = aligned.source.library
    if library is not None and (empty := int((library == 0).sum())):
        raise ValueError(
            f"{empty} spots have no counts of the {aligned.n_common} genes that adata shares with the model's slice. "
            "Remove them and compute the spatial graph again."
        )
    if n_missing:
        log.warning(
            "%d of the model's %d genes (%.1f %%) are missing: each spot is taken to have their mean in training.",
            n_missing,
            n_genes,
            100 * n_missing / n_genes,
        )


def _all_genes(adata: AnnData, **options: Any) -> Expression:
    return read_expression(adata, n_top_genes=adata.n_vars, **options)


def _spots(expression: Expression | AlignedExpression) -> Iterator[np.ndarray]:
    for start in range(0, expression.n_spots, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, expression.n_spots))


def _raw_blocks(expression: Expression) -> Iterator[sparse.csr_matrix]:
    """Yield the values as they are, not normalised."""
    raw = dataclasses.replace(expression, library=None)
    for spots in _spots(raw):
        yield raw.rows(spots)[0]


def _totals(x: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(x.sum(axis=1, dtype=np.float64)).ravel()
