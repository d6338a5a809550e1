"""The model as the paper's equations read, in plain torch: the yardstick of `fit.py`.

Adjacency and the neighbour loss are dense N×N matrices, the sigmoid is taken of all cosines, dispersion and dropout have
a head each per spot, the likelihood is evaluated at every spot and gene under autograd, input and targets are dense.
Parameters are named as those of :class:`scsemst.nn.SemST` so that either can load the other's: a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from anndata import AnnData

NEIGHBOR_WEIGHT = REDUNDANCY_WEIGHT = 0.1


class Convolution(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_channels, out_channels)))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        return adjacency @ (x @ self.weight) + self.bias


class View(nn.Module):
    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        self.first = Convolution(in_channels, hidden)
        self.second = Convolution(hidden, out_channels)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x, adjacency)), adjacency))


class Modulation(nn.Module):
    def __init__(self, channels: int, semantic_channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.LayerNorm(semantic_channels), nn.Linear(semantic_channels, hidden), nn.SiLU())
        self.to_affine = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 2 * channels))
        nn.init.zeros_(self.to_affine[-1].weight)
        nn.init.zeros_(self.to_affine[-1].bias)

    def forward(self, z: Tensor, semantics: Tensor) -> Tensor:
        alpha, beta = self.to_affine(self.head(semantics)).chunk(2, dim=1)
        return (1 + alpha) * z + beta


class Heads(nn.Module):
    def __init__(self, in_channels: int, n_genes: int) -> None:
        super().__init__()
        names = ("mean", "dispersion", "dropout")
        self.heads = nn.ModuleDict({name: nn.Linear(in_channels, n_genes) for name in names})

    def forward(self, hidden: Tensor, library: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = library[:, None] * self.heads["mean"](hidden).exp()
        dispersion = self.heads["dispersion"](hidden).clamp(-7, 7).exp()
        return mean, dispersion, torch.sigmoid(self.heads["dropout"](hidden))


class NaiveSemST(nn.Module):
    """Two views, modulation, latent MLP and decoder, with the sizes of `preset="paper"`."""

    def __init__(
        self,
        n_genes: int,
        semantic_channels: int | None,
        *,
        hidden: int = 256,
        view: int = 128,
        latent: int = 64,
        decoder: int = 128,
    ) -> None:
        super().__init__()
        self.spatial_view = View(n_genes, hidden, view)
        self.feature_view = View(n_genes, hidden, view)
        self.fsm = None if semantic_channels is None else Modulation(2 * view, semantic_channels)
        self.to_latent = nn.Sequential(nn.Linear(2 * view, 2 * view), nn.ReLU(), nn.Linear(2 * view, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, decoder), nn.SiLU())
        self.likelihood = Heads(decoder, n_genes)

    def forward(self, x: Tensor, spatial: Tensor, feature: Tensor, semantics: Tensor | None):
        first, second = self.spatial_view(x, spatial), self.feature_view(x, feature)
        z = torch.cat([first, second], dim=1)
        if self.fsm is not None:
            z = self.fsm(z, semantics)
        return self.to_latent(z), first, second

    def terms(self, outputs, counts: Tensor, library: Tensor, neighbors: Tensor) -> dict[str, Tensor]:
        latent, first, second = outputs
        return {
            "reconstruction": zinb_loss(counts, *self.likelihood(self.decoder(latent), library)),
            "neighbor": neighbor_loss(latent, neighbors),
            "redundancy": redundancy_loss(first, second),
        }


def zinb_loss(x: Tensor, mean: Tensor, theta: Tensor, pi: Tensor, eps: float = 1e-10) -> Tensor:
    """Mean of -log ZINB(x) over spots and genes."""
    log_total = torch.log(theta + mean + eps)
    log_nb = (
        torch.lgamma(x + theta)
        - torch.lgamma(theta)
        - torch.lgamma(x + 1)
        + theta * (torch.log(theta + eps) - log_total)
        + x * (torch.log(mean + eps) - log_total)
    )
    at_zero = torch.log(pi + (1 - pi) * log_nb.exp() + eps)
    return -torch.where(x == 0, at_zero, torch.log(1 - pi + eps) + log_nb).mean()


def neighbor_loss(z: Tensor, neighbors: Tensor) -> Tensor:
    """Minus the mean log-probability of all ordered pairs, halved; `neighbors` is 0 or 1, N×N."""
    z = F.normalize(z, dim=1)
    probability = torch.sigmoid(z @ z.T)
    return -(neighbors * torch.log(probability) + (1 - neighbors) * torch.log(1 - probability)).mean() / 2


def redundancy_loss(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference between the views' correlation and the identity."""
    first, second = ((h - h.mean(dim=0)) / torch.sqrt(h.var(dim=0, unbiased=False) + 1e-6) for h in (first, second))
    correlation = first.T @ second / len(first)
    return (correlation - torch.eye(correlation.shape[0])).square().mean()


def normalized(neighbors: Tensor) -> Tensor:
    """Return D^-1/2 (A + I) D^-1/2, dense."""
    looped = neighbors + torch.eye(len(neighbors))
    inverse = looped.sum(dim=1).rsqrt()
    return inverse[:, None] * looped * inverse[None, :]


def fit(
    adata: AnnData, *, epochs: int, semantics_key: str | None, n_top_genes: int = 3000, seed: int = 0
) -> list[float]:
    """Train from raw counts, `obsp["spatial_connectivities"]` and `obsm[semantics_key]`; return the loss per epoch."""
    import scanpy as sc
    from sklearn.decomposition import PCA

    torch.manual_seed(seed)
    adata = adata.copy()
    library = torch.from_numpy(np.asarray(adata.X.sum(axis=1)).ravel())
    sc.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=min(n_top_genes, adata.n_vars))
    variable = adata.var["highly_variable"].to_numpy()
    counts = torch.from_numpy(adata.X[:, variable].toarray())
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    x = adata.X[:, variable].toarray()

    components = torch.from_numpy(PCA(30, random_state=seed).fit_transform(x))
    nearest = torch.cdist(components, components).topk(15, largest=False).indices  # the first is the spot itself
    expression_neighbors = torch.zeros(len(x), len(x)).scatter_(1, nearest[:, 1:], 1.0)
    expression_neighbors = torch.maximum(expression_neighbors, expression_neighbors.T)
    neighbors = torch.from_numpy((adata.obsp["spatial_connectivities"].toarray() > 0).astype(np.float32))
    neighbors = torch.maximum(neighbors, neighbors.T)
    spatial, feature = normalized(neighbors), normalized(expression_neighbors)
    x = torch.from_numpy(x)
    semantics = None
    if semantics_key is not None:
        semantics = torch.from_numpy(adata.obsm[semantics_key])
        semantics = (semantics - semantics.mean(dim=0)) / semantics.var(dim=0).mean().sqrt()

    model = NaiveSemST(x.shape[1], None if semantics is None else semantics.shape[1])
    with torch.no_grad():  # without a start at the mean, counts in the hundreds overflow in the first epochs
        model.likelihood.heads["mean"].bias.copy_(torch.log(counts.mean(dim=0) / library.mean()))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=5e-4)
    losses = []
    for _ in range(epochs):
        terms = model.terms(model(x, spatial, feature, semantics), counts, library, neighbors)
        loss = terms["reconstruction"] + NEIGHBOR_WEIGHT * terms["neighbor"] + REDUNDANCY_WEIGHT * terms["redundancy"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        model(x, spatial, feature, semantics)
    return losses
