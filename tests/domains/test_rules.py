"""What the documentation of scsemst.domains promises, number by number."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from sklearn.metrics import fowlkes_mallows_score

from scsemst.domains import consensus as module
from scsemst.domains import stability
from scsemst.domains.consensus import consensus, fit_consensus, fit_mixtures
from scsemst.domains.labels import assign, categorical
from scsemst.domains.mixture import _em, _exchange, _fill, _hard, _whiten, fit_mixture, fit_nested
from scsemst.domains.potts import smooth_posterior
from scsemst.domains.refine import majority
from scsemst.domains.stability import _agreement, fit_stability, usable


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
    labels = fit_consensus(np.empty((90, 4)), 3, n_dimensions=(2, 4), n_init=7, rng=rng, progress=True)
    assert calls == [{"n_domains": 3, "n_dimensions": [2, 4], "n_init": 7, "rng": rng, "progress": True}]
    assert np.bincount(labels).tolist() == [30, 30, 30]
    fit_consensus(np.empty((90, 4)), 3)
    fit_mixtures(np.empty((90, 4)), 3)
    assert [(call["rng"], call["progress"]) for call in calls[1:]] == [(0, False), (0, False)]


def test_ties_of_the_vote_stay_with_the_reference():
    # The first and third agree best with the others; row 4 has one vote for each of two domains besides
    labelings = [np.array(labels) for labels in ([0, 0, 1, 1, 0], [0, 0, 1, 1, 1])]
    np.testing.assert_array_equal(consensus(labelings, 2), [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(consensus(labelings[::-1], 2), [1, 1, 0, 0, 0])


def test_a_domain_without_votes_brings_back_the_best_labeling():
    labelings = [np.array(labels) for labels in ([0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 2, 1], [0, 0, 0, 2, 1, 1])]
    found = consensus(labelings, 3)
    assert len(np.unique(found)) == 3


@pytest.mark.parametrize("seed", range(20))
def test_the_vote_is_final(seed: int):
    """No row has more votes for another domain than for its own."""
    rng = np.random.default_rng(seed)
    truth = np.append(np.arange(3), rng.integers(3, size=57))
    labelings = []
    for _ in range(4):
        noisy = np.where(rng.random(60) < 0.35, rng.integers(3, size=60), truth)
        noisy[:3] = np.arange(3)
        labelings.append(rng.permutation(3)[noisy])
    found = consensus(labelings, 3)
    votes = np.zeros((60, 3))
    for labels in labelings:
        votes[np.arange(60), module._match(labels, found, 3)[labels]] += 1
    assert (votes[np.arange(60), found] == votes.max(axis=1)).all()


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


def test_agreement_of_runs():
    """The mean of a candidate's runs among each other, and with those of each candidate beside it."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(k, size=(3, 40)) for k in (2, 3, 4, 5)], axis=1)
    labels[rng.random(labels.shape) < 0.2] = -1  # rows that a run did not see

    def alike(r: int, i: int, s: int, j: int) -> float:
        a, b = labels[r, i], labels[s, j]
        both = (a != -1) & (b != -1)
        return fowlkes_mallows_score(a[both], b[both])

    runs = [(0, 1), (0, 2), (1, 2)]
    within = [np.mean([alike(r, i, s, i) for r, s in runs]) for i in range(4)]
    beside = [np.mean([alike(r, i, s, i + 1) for r in range(3) for s in range(3) if r != s]) for i in range(3)]
    expected = [
        (within[0] + beside[0]) / 2,
        (within[1] + beside[0] + beside[1]) / 3,
        (within[2] + beside[1] + beside[2]) / 3,
        (within[3] + beside[2]) / 2,
    ]
    np.testing.assert_allclose(_agreement(labels), expected)


def test_scores_of_candidates(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys):
    """Each repeat sees four fifths of the rows, no row twice, and another number of dimensions."""
    seen = []

    def fit_mixture(part: np.ndarray, k: int, **options: object):
        seen.append((part, k, options))
        return SimpleNamespace(labels=np.arange(len(part)) % k, bic=1000.0 * len(part) / k)

    monkeypatch.setattr(stability, "fit_mixture", fit_mixture)
    z = np.arange(200.0)[:, None] + np.zeros((1, 8))
    with caplog.at_level("INFO", logger="scsemst"):
        found = fit_stability(z, [1, 2, 4, 50], n_repeats=3, n_init=9)
    assert caplog.messages == ["Above 4 domains fewer than 40 spots each are left: not scored."]
    assert found.candidates.tolist() == [1, 2, 4]
    assert [k for _, k, _ in seen] == [1, 2, 4] * 3
    fitting = [d for d in module.N_DIMENSIONS if d <= 8]
    assert [part.shape[1] for part, _, _ in seen[::3]] == [fitting[r % len(fitting)] for r in range(3)]
    assert {len(part) for part, _, _ in seen} == {160}
    assert all(len(np.unique(part[:, 0])) == 160 for part, _, _ in seen)
    assert {options["n_init"] for _, _, options in seen} == {9}
    assert all(isinstance(options["rng"], np.random.Generator) for _, _, options in seen)
    np.testing.assert_allclose(found.bic, [1000, 500, 250])
    np.testing.assert_allclose(found.elbow, [0, 2 / 3 - 1 / 3, 0], atol=1e-12)
    unit = (found.stability - found.stability.min()) / np.ptp(found.stability)
    np.testing.assert_allclose(found.score, unit + found.elbow / found.elbow.max())
    assert not capsys.readouterr().err

    caplog.clear()
    fit_stability(z, [2], min_spots=100, progress=True)
    assert not caplog.messages
    assert "n_domains" in capsys.readouterr().err
    assert len(seen) == 9 + 7
    assert seen[-1][2]["n_init"] == 3
    narrow = fit_stability(z[:, :2], [2], n_repeats=2)
    assert seen[-1][0].shape == (160, 2)
    assert narrow.record({})["n_domains"] == 2


def test_candidates_of_one_domain_and_none():
    assert usable([2, 1, 2], 80).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"^candidates is empty. Pass numbers of domains, such as range\(2, 20\)\.$"):
        usable([], 80)
    with pytest.raises(ValueError, match=r"at least 3\) leaves fewer than 40 of the 80 .* average. Pass smaller"):
        usable([4, 3], 80)
    with pytest.raises(ValueError, match="candidates must be at least 1, found 0"):
        usable([0, 2], 80)


def test_units_of_a_mixture():
    """Means, weights and likelihood are in the units of the rows."""
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(size=(60, 2)), rng.normal(size=(40, 2)) + 20]) * [1.0, 3.0] + [100.0, -7.0]
    fit = fit_mixture(z, 2, n_init=2)
    np.testing.assert_allclose(fit.means, [z[:60].mean(0), z[60:].mean(0)], rtol=1e-6)
    np.testing.assert_allclose(fit.weights, [0.6, 0.4], rtol=1e-6)
    with pytest.raises(ValueError, match=r"two dimensions \(rows × features\), found shape \(3,\)"):
        fit_mixture(np.zeros(3), 1)
    other = fit_mixture(
        z.astype(np.float32).round(), 2, n_init=1
    )  # single precision and integers are taken as they are
    assert other.means.dtype == np.float64


def test_options_of_a_mixture_are_used(monkeypatch: pytest.MonkeyPatch):
    from scsemst.domains import mixture

    calls = []
    monkeypatch.setattr(mixture, "fit_nested", lambda z, k, **options: calls.append(options) or [None])
    fit_mixture(np.zeros((4, 3)), 2)
    fit_mixture(np.zeros((4, 3)), 2, n_init=1, max_iter=2, tol=3, n_start=4, rng=5, progress=True)
    assert calls == [
        {
            "n_dimensions": [3],
            "n_init": 100,
            "max_iter": 500,
            "tol": 1e-6,
            "n_start": 10_000,
            "rng": 0,
            "progress": False,
        },
        {"n_dimensions": [3], "n_init": 1, "max_iter": 2, "tol": 3, "n_start": 4, "rng": 5, "progress": True},
    ]


@pytest.fixture(scope="module")
def poor() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whitened rows in four groups, their labels, and labels from which EM ends in a poor optimum."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 50)
    z = rng.normal(size=(200, 3))
    z[:, :2] += 12 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[truth]
    z -= z.mean(0)
    return (
        z @ _whiten(z).matrix,
        truth,
        np.where(truth == 3, 2, np.where(truth == 0, np.arange(200) % 2, truth + 1) % 4),
    )


def test_mixtures_take_over_what_is_more_likely(poor):
    x, good, bad = poor
    options = {"max_iter": 200, "tol": 1e-9}
    better, worse = _em(x, _hard(good, 4), **options), _em(x, _hard(bad, 4), **options)
    assert worse.log_likelihood < better.log_likelihood - 0.01
    fits = [worse, better]
    _exchange([x, x], fits, 4, **options)
    assert fits[1] is better
    assert fits[0].log_likelihood == pytest.approx(better.log_likelihood)


def test_the_best_start_stays(poor, monkeypatch: pytest.MonkeyPatch):
    from scsemst.domains import mixture

    x, good, bad = poor
    inside = np.lexsort(x.T[2::-1])  # the mixture sorts its rows by value
    order = iter([bad[inside], good[inside], bad[inside]])
    monkeypatch.setattr(mixture, "_kmeans", lambda *_: next(order))
    monkeypatch.setattr(mixture, "_exchange", lambda *_, **__: None)
    (fit,) = fit_nested(x, 4, n_dimensions=[3], n_init=3)
    assert sorted(np.bincount(fit.labels)) == [50, 50, 50, 50]


def test_the_widest_group_is_the_one_of_largest_squares():
    # Thirty rows 1 apart on a line, and a tight group far away with three times as many
    x = np.concatenate([np.linspace(-1, 1, 30), 40 + 0.01 * np.linspace(-1, 1, 90)])[:, None]
    fit = _em(x, _hard(np.repeat([0, 1], [30, 90]), 3), max_iter=1, tol=1e-9)
    labels = _fill(x, fit, max_iter=5, tol=1e-9, rng=np.random.default_rng(0)).labels
    assert len(np.unique(labels[:30])) == 2
    assert len(np.unique(labels[30:])) == 1
    assert np.bincount(labels[:30])[np.unique(labels[:30])].tolist() == [15, 15]


def test_as_many_domains_as_distinct_rows():
    for z in (np.repeat([[0.0, 1], [5, 1], [9, 1]], 10, axis=0), np.repeat([[1.0, 0], [1, 5], [1, 9]], 10, axis=0)):
        assert np.bincount(fit_mixture(z, 3, n_init=2).labels).tolist() == [10, 10, 10]
        with pytest.raises(ValueError, match="n_domains=4 is more than the 3 distinct rows"):
            fit_mixture(z, 4)


def test_what_is_wrong_with_a_mixture_is_named():
    z = np.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match="n_domains must be at least 1, found 0"):
        fit_mixture(z, 0)
    with pytest.raises(ValueError, match="n_init must be at least 1, found 0"):
        fit_mixture(z, 1, n_init=0)
    z[2, 1] = np.inf
    with pytest.raises(ValueError, match=r"^z "):
        fit_mixture(z, 1)


def test_starts_see_part_of_many_rows_and_empty_domains_are_filled(monkeypatch: pytest.MonkeyPatch):
    from scsemst.domains import mixture

    z = np.random.default_rng(0).normal(size=(50, 2))
    parts, filled = [], []
    best_start, fill = mixture._best_start, mixture._fill

    def record_start(part: np.ndarray, *args: object, **options: float):
        parts.append((part, options["tol"], options["max_iter"]))
        return best_start(part, *args, **options)

    def record_fill(x: np.ndarray, fit: object, **options: object):
        filled.append((len(x), options["max_iter"], options["tol"], options["rng"]))
        return fill(x, fit, **options)

    monkeypatch.setattr(mixture, "_best_start", record_start)
    monkeypatch.setattr(mixture, "_fill", record_fill)
    fit_nested(z, 2, n_dimensions=[2], n_init=2, n_start=20)
    fit_nested(z, 2, n_dimensions=[2], n_init=2, n_start=50, tol=1e-3, max_iter=9)
    assert [len(part) for part, *_ in parts] == [20, 50]
    assert len(np.unique(parts[0][0][:, 0])) == 20  # no row twice
    assert [rest for _, *rest in parts] == [[pytest.approx(1e-5), 500], [pytest.approx(1e-2), 9]]
    assert not filled

    monkeypatch.setattr(mixture._Fit, "is_full", property(lambda fit: False))
    rng = np.random.default_rng(3)
    fit_nested(z, 2, n_dimensions=[2], n_init=1, rng=rng)
    assert filled == [(50, 500, 1e-6, rng)]


def test_candidates_above_the_distinct_rows_are_not_scored(caplog: pytest.LogCaptureFixture):
    z = np.repeat(np.random.default_rng(0).normal(size=(6, 4)), 100, axis=0)
    with caplog.at_level("INFO", logger="scsemst"):
        found = fit_stability(z, [2, 3, 6, 7], n_repeats=2, n_init=1)
    assert found.candidates.tolist() == [2, 3, 6]
    assert caplog.messages == ["The representation has 6 distinct rows: more domains are not scored."]
    with pytest.raises(ValueError, match="at least 7. is more than the 6 distinct rows.*smaller"):
        fit_stability(z, [7, 8], n_repeats=2)
