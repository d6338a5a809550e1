"""FSM in PyTorch Geometric's `DeepGraphInfomax`, the contrastive family of GraphST and SpaceFlow.

A spot's semantics are features of the spot, so the corruption gives each spot the expression and the semantics of another.
"""

from __future__ import annotations

import torch
from anndata import AnnData
from numpy import ndarray
from torch_geometric.nn import DeepGraphInfomax, GCNConv, SimpleConv
from torch_geometric.utils import from_scipy_sparse_matrix

from scsemst.nn import FSM


class Encoder(torch.nn.Module):
    def __init__(self, in_channels: int, semantic_channels: int | None, n_latent: int):
        super().__init__()
        self.conv = GCNConv(in_channels, n_latent)
        self.act = torch.nn.PReLU(n_latent)
        self.fsm = None if semantic_channels is None else FSM(n_latent, semantic_channels)

    def forward(self, x, edge_index, semantics=None):
        h = self.conv(x, edge_index)
        if self.fsm is not None:
            h = self.fsm(h, semantics)
        return self.act(h)


def corrupt(x, edge_index, semantics=None):
    other = torch.randperm(len(x))
    return x[other], edge_index, None if semantics is None else semantics[other]


def summarize(z, *_, **__):
    return z.mean(dim=0).sigmoid()


def embed(adata: AnnData, *, semantics_key: str | None, epochs=150, n_latent=32, semantic_hops=2, seed=0) -> ndarray:
    """Return the latent space, shape `(n_obs, n_latent)`; needs `X_pca`, squidpy's graph and the semantics."""
    x = torch.tensor(adata.obsm["X_pca"] / adata.obsm["X_pca"].std(), dtype=torch.float32)
    semantics = None if semantics_key is None else torch.tensor(adata.obsm[semantics_key])
    edges, _ = from_scipy_sparse_matrix(adata.obsp["spatial_connectivities"].tocoo())
    if semantics is not None:
        # One spot's few counts make a noisy sentence: unaveraged, it would undo the smoothness of the graph layers
        for _ in range(semantic_hops):
            semantics = SimpleConv("mean", combine_root="self_loop")(semantics, edges)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(x.shape[1], None if semantics is None else semantics.shape[1], n_latent)
        model = DeepGraphInfomax(n_latent, encoder, summarize, corrupt)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(epochs):
            loss = model.loss(*model(x, edges, semantics))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return model.eval().encoder(x, edges, semantics).numpy()
