"""What the documentation of scsemst.domains promises, number by number."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax

from scsemst.domains import consensus as module
from scsemst.domains.consensus import consensus, fit_consensus, fit_mixtures
from scsemst.domains.labels import assign, categorical
from scsemst.domains.potts import smooth_posterior
from scsemst.domains.refine import majority


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What is asked of the mixtures."""
    calls: list[dict] = []

    def fit_nested(z: np.ndarray, n_domains: int, **options: object):
        calls.append({"n_domains": n_domains, **options})
        return [SimpleNamespace(labels=np.arange(len(z)) % n_domains)]

    monkeypatch.setattr(module, "fit_nested", fit_nested)
    return calls


@pytest.mark.parametrize(("n", "n_init"), [(1, 100), (999, 100), (1001, 99), (2500, 40), (3226, 30), (10**6, 30)])
def test_starts_are_30_to_100(calls: list[dict], n: int, n_init: int):
    fit_mixtures(np.empty((n, 3)), 2)
    assert calls[0]["n_init"] == n_init


@pytest.mark.parametrize(
    ("n", "d", "asked", "used"),
    [
        # 2 · (K·d + d·(d + 1) / 2) rows: 50 for K = 4, d = 4, and 70 for d = 5
        (50, 9, (4, 5), [4]),
        (49, 9, (4, 5), [4]),  # none fits: the smallest
        (69, 9, (4, 5), [4]),
        (70, 9, (4, 5), [4, 5]),
        (70, 4, (4, 5), [4]),  # the representation has no more
        (70, 3, (4, 5), [3]),
        (3, 2, (4, 5), [2]),
    ],
)
def test_dimensions_that_the_rows_allow(calls: list[dict], n: int, d: int, asked: tuple, used: list):
    fit_mixtures(np.empty((n, d)), 4, n_dimensions=asked)
    assert list(calls[0]["n_dimensions"]) == used


def test_options_reach_the_mixtures(calls: list[dict]):
    rng = np.random.default_rng(5)
    labels = fit_consensus(np.empty((90, 4)), 3, n_dimensions=(2, 4), n_init=7, rng=rng)
    assert calls == [{"n_domains": 3, "n_dimensions": [2, 4], "n_init": 7, "rng": rng}]
    assert np.bincount(labels).tolist() == [30, 30, 30]
    fit_consensus(np.empty((90, 4)), 3)
    fit_mixtures(np.empty((90, 4)), 3)
    assert [call["rng"] for call in calls[1:]] == [0, 0]


def test_ties_of_the_vote_stay_with_the_reference():
    # The first and third agree best with the others; row 4 has one vote for each of two domains besides
    labelings = [np.array(labels) for labels in ([0, 0, 1, 1, 0], [0, 0, 1, 1, 1])]
    np.testing.assert_array_equal(consensus(labelings, 2), [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(consensus(labelings[::-1], 2), [1, 1, 0, 0, 0])


def test_a_domain_without_votes_brings_back_the_best_labeling():
    labelings = [np.array(labels) for labels in ([0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 2, 1], [0, 0, 0, 2, 1, 1])]
    found = consensus(labelings, 3)
    assert len(np.unique(found)) == 3


def chain(n: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(n, n)))


def test_majority_is_one_round_unless_asked():
    labels = np.array([0, 0, 1, 0, 1, 1, 0, 1, 1])
    once = majority(labels, chain(9))
    np.testing.assert_array_equal(once, [0, 0, 0, 1, 1, 1, 1, 1, 1])
    # A wave that takes two rounds: 1s at the rim of 1s are worn down from both sides
    wide = np.array([0, 0, 0, 1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(majority(np.append(wide, [1, 1, 1]), chain(12))[:9], [0, 0, 0, 0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(majority(np.append(wide, [1, 1, 1]), chain(12), n_iter=2)[:9], np.zeros(9))


def test_majority_leaves_the_graph_and_the_unlabelled():
    graph = chain(6)
    graph.data *= 0.25  # every neighbour has one vote, whatever its weight
    before = graph.copy()
    labels = np.array([0, 0, 1, 0, -1, 1])
    np.testing.assert_array_equal(majority(labels, graph), [0, 0, 0, 0, -1, 1])
    np.testing.assert_array_equal(graph.toarray(), before.toarray())
    np.testing.assert_array_equal(labels, [0, 0, 1, 0, -1, 1])
    assert (majority(np.full(6, -1), graph) == -1).all()
    np.testing.assert_array_equal(majority(np.array([0, 1, 2]), sparse.csr_matrix((3, 3))), [0, 1, 2])


def test_potts_solves_its_equations():
    rng = np.random.default_rng(0)
    graph = sparse.random(30, 30, density=0.15, random_state=0)
    graph = sparse.csr_matrix(0.3 * (graph + graph.T))  # some rows sum to less than one
    graph[4], graph[:, 4] = 0, 0
    graph.eliminate_zeros()
    degree = np.asarray(graph.sum(axis=1)).ravel()
    assert (degree[degree > 0] < 1).any()
    log_prob = rng.normal(size=(30, 3))
    found = smooth_posterior(log_prob + 7.0, graph, beta=0.8, n_iter=200)
    mean = np.divide(graph @ np.exp(found), degree[:, None], out=np.zeros((30, 3)), where=degree[:, None] > 0)
    np.testing.assert_allclose(found, log_softmax(log_softmax(log_prob, axis=1) + 0.8 * mean, axis=1), atol=1e-8)
    np.testing.assert_allclose(found[4], log_softmax(log_prob[4]))
    np.testing.assert_allclose(smooth_posterior(log_prob, graph, n_iter=0), log_softmax(log_prob, axis=1))
    default = smooth_posterior(log_prob, graph)
    np.testing.assert_array_equal(default, smooth_posterior(log_prob, graph, beta=1.0, n_iter=20))
    assert not np.array_equal(default, smooth_posterior(log_prob, graph, n_iter=21))


def test_potts_takes_integers_and_names_what_is_wrong():
    whole = smooth_posterior(np.array([[2, 0], [0, 1]]), sparse.csr_matrix([[0, 1], [1, 0]]))
    np.testing.assert_allclose(np.exp(whole).sum(axis=1), 1)
    with pytest.raises(ValueError, match="n_iter must be at least 0, found -1"):
        smooth_posterior(np.zeros((2, 2)), chain(2), n_iter=-1)
    with pytest.raises(ValueError, match=r"graph has shape \(3, 3\), but log_prob has 2 rows"):
        smooth_posterior(np.zeros((2, 2)), chain(3))


def test_an_empty_domain_takes_the_spot_that_loses_least():
    p = np.array([[0.50, 0.10, 0.40], [0.48, 0.07, 0.45], [0.05, 0.55, 0.40], [0.10, 0.30, 0.60]])
    np.testing.assert_array_equal(assign(np.log(p)), p.argmax(1))  # all occur: nothing changes
    none_third = p[:3]
    np.testing.assert_array_equal(assign(np.log(none_third)), [0, 2, 1])
    # The spot that loses least is its domain's only one: another one goes
    alone = np.array([[0.90, 0.04, 0.06], [0.80, 0.05, 0.15], [0.02, 0.50, 0.48]])
    np.testing.assert_array_equal(assign(np.log(alone)), [0, 2, 1])


def test_names_can_be_written(tmp_path):
    import anndata as ad

    found = categorical(np.array([5, 2, 2]))
    assert found.categories.dtype == object
    adata = ad.AnnData(np.ones((3, 1)))
    adata.obs["semst"] = found
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert ad.read_h5ad(tmp_path / "a.h5ad").obs["semst"].tolist() == ["1", "0", "0"]
