"""Each likelihood against scipy's own distribution, in value and in gradient, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse, stats

from scsemst.nn import NB, ZINB, Gaussian, Observed, Poisson


def nb_logpmf(x, mean, theta):
    return stats.nbinom.logpmf(x, theta, theta / (theta + mean))


def zinb_logpmf(x, mean, theta, pi):
    kept = np.log1p(-pi) + nb_logpmf(x, mean, theta)
    return np.where(x == 0, np.logaddexp(np.log(pi), kept), kept)


def naive(kind: str, x: np.ndarray, raw: dict[str, np.ndarray]) -> float:
    """Mean negative log-likelihood, from scipy's distributions."""
    if kind == "gaussian":
        return -stats.norm.logpdf(x, raw["mean"], np.exp(raw["log_scale"])).mean()
    mean = np.exp(raw["mean"])
    if kind == "poisson":
        return -stats.poisson.logpmf(x, mean).mean()
    theta = np.exp(raw["dispersion"])
    if kind == "nb":
        return -nb_logpmf(x, mean, theta).mean()
    return -zinb_logpmf(x, mean, theta, 1 / (1 + np.exp(-raw["dropout"]))).mean()


CASES = [
    ("poisson", Poisson, ()),
    ("gaussian", Gaussian, ()),
    ("gaussian", Gaussian, ("log_scale",)),
    ("nb", NB, ()),
    ("nb", NB, ("dispersion",)),
    ("zinb", ZINB, ()),
    ("zinb", ZINB, ("dispersion", "dropout")),
]


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize(("kind", "cls", "per_spot"), CASES)
def test_value_and_gradient(kind, cls, per_spot, n_batches):
    rng = np.random.default_rng(0)
    n, n_genes, width = 23, 11, 4
    x = rng.poisson(rng.gamma(0.5, 2.0, size=(n, n_genes))).astype(float)
    torch.manual_seed(0)
    module = cls(width, n_genes, per_spot=per_spot, n_batches=n_batches).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    hidden = torch.randn(n, width, dtype=torch.float64, requires_grad=True)
    log_library = torch.randn(n, dtype=torch.float64)
    batch = torch.from_numpy(rng.integers(3, size=n)) if n_batches > 1 else None
    # Chunks of 7: the last is short, so that a wrong offset between chunks cannot hide.
    observed = Observed(sparse.csr_matrix(x), chunk_size=7, dtype=torch.float64)

    loss = module.loss(hidden, observed, log_library, batch)
    (3.0 * loss).backward()

    def value() -> float:
        with torch.no_grad():
            return naive(kind, x, {k: v.numpy() for k, v in module(hidden, log_library, batch).items()})

    np.testing.assert_allclose(loss.item(), value(), rtol=1e-10)
    step = 1e-6
    for tensor in [hidden, *module.parameters()]:
        flat, gradient = tensor.detach().view(-1), tensor.grad.view(-1)
        for i in rng.choice(flat.numel(), size=min(5, flat.numel()), replace=False):
            start = flat[i].item()
            flat[i] = start + step
            up = value()
            flat[i] = start - step
            down = value()
            flat[i] = start
            np.testing.assert_allclose(gradient[i].item(), 3 * (up - down) / (2 * step), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("cls", [NB, ZINB, Poisson, Gaussian])
def test_extreme_parameters_stay_finite(cls):
    module = cls(2, 3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(40.0)
    hidden = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], requires_grad=True)
    loss = module.loss(hidden, Observed(sparse.csr_matrix(np.array([[0.0, 1, 500], [2, 0, 0]]))), torch.zeros(2))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(hidden.grad).all()


def test_unknown_head_is_named():
    with pytest.raises(ValueError, match="dropout"):
        NB(2, 3, per_spot=("dropout",))


def test_the_gradient_repeats_with_several_threads():
    """Enough counts of few genes that threads would share them."""
    rng = np.random.default_rng(0)
    observed = Observed(sparse.csr_matrix(rng.poisson(3.0, size=(3000, 20))), chunk_size=3000)
    torch.manual_seed(0)
    module, hidden = ZINB(4, 20), torch.randn(3000, 4)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradients = []
        for _ in range(10):
            module.zero_grad()
            module.loss(hidden, observed, torch.zeros(3000)).backward()
            gradients.append([p.grad.clone() for p in module.parameters()])
    finally:
        torch.set_num_threads(threads)
    for again in gradients[1:]:
        assert all(map(torch.equal, again, gradients[0]))
