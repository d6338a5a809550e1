"""Genes of a model in another slice: order, missing ones, other panels around them."""

from __future__ import annotations

import numpy as np
import pytest

from scsemst.reuse.genes import align_genes, gene_space
from scsemst.training.expression import read_expression

OPTIONS = {"layer": None, "likelihood": "zinb"}


@pytest.fixture(scope="module")
def space(corner):
    expression = read_expression(corner, n_top_genes=600, **OPTIONS)
    return gene_space(corner, expression, **OPTIONS), expression


def rows(expression) -> np.ndarray:
    return expression.rows(np.arange(expression.n_spots))[0].toarray()


def test_the_same_slice_reads_the_same(corner, space):
    aligned = align_genes(corner, space[0], **OPTIONS)
    np.testing.assert_allclose(rows(aligned), rows(space[1]), rtol=1e-6)
    assert aligned.share == 1
    assert not aligned.fill.any()


def test_order_and_other_genes_do_not_matter(corner, space):
    import anndata as ad

    rng = np.random.default_rng(0)
    more = ad.AnnData(rng.poisson(2.0, size=(corner.n_obs, 50)).astype(np.float32))
    more.var_names, more.obs_names = [f"other{i}" for i in range(50)], corner.obs_names
    other = ad.concat([corner, more], axis=1)[:, rng.permutation(corner.n_vars + 50)]
    np.testing.assert_allclose(rows(align_genes(other, space[0], **OPTIONS)), rows(space[1]), rtol=1e-5)


def test_missing_genes_are_counted_and_do_not_change_the_scale(corner, space):
    kept = np.random.default_rng(1).random(corner.n_vars) < 0.7
    part = corner[:, kept]
    part = part[np.asarray(part.X.sum(axis=1)).ravel() > 0]
    aligned = align_genes(part, space[0], **OPTIONS)
    names = np.array(space[0].names)[space[0].columns]
    gone = ~np.isin(names, part.var_names)
    assert aligned.missing == list(names[gone])
    np.testing.assert_array_equal(aligned.fill[gone], space[0].means[gone])
    assert not aligned.fill[~gone].any()
    here = rows(space[1])[corner.obs_names.isin(part.obs_names)]
    # Fewer genes and the raw total would make every value larger
    np.testing.assert_allclose(rows(aligned)[:, ~gone].mean(), here[:, ~gone].mean(), rtol=0.02)
    assert not rows(aligned)[:, gone].any()


def test_a_gene_without_counts_is_not_missing(corner, space):
    silent = corner.copy()
    name = space[0].names[space[0].columns[0]]
    x = silent.X.tolil()
    x[:, silent.var_names.get_loc(name)] = 0
    silent.X = x.tocsr()
    aligned = align_genes(silent, space[0], **OPTIONS)
    assert not aligned.missing
    assert not rows(aligned)[:, 0].any()
