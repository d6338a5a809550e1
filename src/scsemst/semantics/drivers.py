"""From a modulation back to the genes whose meaning it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import sparse

from scsemst.training.slices import Slices

if TYPE_CHECKING:
    from scsemst._types import Matrix
    from scsemst.nn import FSM

__all__ = ["SpotWeights", "attribute", "spot_weights"]


class SpotWeights(NamedTuple):
    """Weight of each gene in each spot's semantic vector, `(logs - mean) / scale`, without forming it."""

    logs: sparse.csr_matrix
    """Log-normalised expression, zero rows for empty spots, shape `(n_obs, n_vars)`."""
    mean: np.ndarray
    """Of each slice, shape `(n_slices, n_vars)`."""
    scale: float
    codes: np.ndarray
    """Slice of each spot, shape `(n_obs,)`."""

    def transposed_product(self, gradient: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Return `weights.T @ gradient`, shape `(n_vars, d)`; empty spots weigh nothing."""
        member = Slices([""] * len(self.mean), self.codes).member
        total = member @ (gradient * filled[:, None])
        return (self.logs.T @ gradient - self.mean.T @ total) / self.scale


def spot_weights(
    x: Matrix,
    vectors: np.ndarray,
    spots: np.ndarray,
    *,
    target_sum: float | None,
    name: str,
    slices: Slices | None = None,
) -> SpotWeights:
    """Recover how spot vectors were summed from gene vectors, see :func:`~scsemst.semantics.aggregate.aggregate`.

    Parameters
    ----------
    x
        Expression they were made from, shape `(n_obs, n_vars)`.
    vectors
        Gene vectors, zero where a gene has none, shape `(n_vars, d)`.
    spots
        Spot vectors, shape `(n_obs, d)`.
    target_sum
        As it was given then.
    name
        What error messages call the spot vectors.
    slices
        Slices that the modulation centred one by one.

    Raises
    ------
    ValueError
        If the spot vectors are not such a sum of these.
    """
    x = sparse.csr_matrix(x, dtype=np.float64)
    totals = np.asarray(x.sum(axis=1)).ravel()
    filled = totals > 0
    target_sum = float(np.median(totals[filled])) if target_sum is None else target_sum
    factor = np.divide(target_sum, totals, out=np.zeros_like(totals), where=filled)
    logs = sparse.csr_matrix(sparse.diags(factor) @ x).log1p()
    mean = np.asarray(logs.sum(axis=0)).ravel() / filled.sum()
    unscaled = logs @ vectors
    unscaled -= mean @ vectors
    unscaled[~filled] = 0
    # The spots may have been chosen from more since: their sum then differs by one vector, which centring takes away.
    ours, theirs = (v[filled] - v[filled].mean(axis=0) for v in (unscaled, np.asarray(spots, dtype=np.float64)))
    scale = (ours * ours).sum() / max((ours * theirs).sum(), 1e-300)
    if not np.allclose(ours / scale, theirs, atol=1e-2 * np.abs(theirs).max()):
        raise ValueError(
            f"adata.obsm[{name!r}] is not what the expression and the gene vectors in adata.varm[{name!r}] give: genes, "
            "spots or counts have changed since. Run scsemst.pp.gene_semantics(adata) and the modulation again."
        )
    slices = Slices.single(len(totals)) if slices is None else slices
    means = (slices.member @ logs).toarray() / np.maximum(slices.member @ filled, 1)[:, None]
    return SpotWeights(logs, means, float(scale), slices.codes)


def attribute(
    fsm: FSM,
    semantics: np.ndarray,
    domains: np.ndarray,
    weights: SpotWeights,
    vectors: np.ndarray,
    *,
    n_steps: int,
    average: sparse.csr_matrix | None = None,
    n_hops: int = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each domain, the genes' contributions through α and through β, each of shape `(n_vars,)`.

    Parameters
    ----------
    fsm
        Trained modulation.
    semantics
        Standardised semantic vectors, shape `(n_obs, d)`.
    domains
        Domain of each spot in `[0, K)`, -1 for none.
    weights
        See :func:`spot_weights`.
    vectors
        Gene vectors, divided by what the semantic vectors were divided by; shape `(n_vars, d)`.
    n_steps
        Steps of the integral.
    average
        What the semantic vectors were averaged with, see :func:`~scsemst.training.components.averaging_operator`.
    n_hops
        How often they were.
    """
    s = torch.tensor(semantics, dtype=torch.float32)
    with torch.no_grad():
        affine = torch.cat(fsm.affine(s), dim=1)
    filled = np.diff(weights.logs.indptr) > 0
    found = []
    for domain in range(domains.max() + 1):
        rows = np.flatnonzero(domains == domain)
        direction = affine[rows].mean(dim=0) - affine.mean(dim=0)
        direction = direction / direction.norm().clamp_min(1e-12)
        parts = []
        for part in (0, 1):
            chosen = direction.clone().view(2, -1)
            chosen[1 - part] = 0
            gradient = np.zeros(semantics.shape)
            gradient[rows] = _integrated_gradient(fsm, s[rows], chosen.view(-1), n_steps) / len(rows)
            if average is not None:
                for _ in range(n_hops):
                    gradient = average.T @ gradient
            parts.append((weights.transposed_product(gradient, filled) * vectors).sum(axis=1))
        found.append((parts[0], parts[1]))
    return found


def _integrated_gradient(fsm: FSM, s: torch.Tensor, direction: torch.Tensor, n_steps: int) -> np.ndarray:
    """Mean gradient, from zero to `s`, of α and β along a direction; midpoint rule, shape of `s`."""
    norm, rest = fsm.head[0], fsm.head[1:]
    # A layer norm sees no difference between t·s and s, so its own gradient along s is zero: its denominator is held.
    spread = (s.var(dim=1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    total = torch.zeros_like(s)
    for step in range(n_steps):
        at = (s * ((step + 0.5) / n_steps)).requires_grad_()
        centred = (at - at.mean(dim=1, keepdim=True)) / spread
        value = fsm.to_affine(rest(centred * norm.weight + norm.bias)) @ direction
        total += torch.autograd.grad(value.sum(), at)[0]
    return (total / n_steps).detach().double().numpy()
