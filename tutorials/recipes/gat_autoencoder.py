"""FSM in a graph-attention autoencoder of PyTorch Geometric's `GATConv`, the family of STAGATE."""

from __future__ import annotations

import torch
from anndata import AnnData
from numpy import ndarray
from torch_geometric.nn import GATConv, SimpleConv
from torch_geometric.utils import from_scipy_sparse_matrix

from scsemst.nn import FSM


class Autoencoder(torch.nn.Module):
    def __init__(self, in_channels: int, semantic_channels: int | None, n_latent: int):
        super().__init__()
        self.conv1, self.conv2 = GATConv(in_channels, 64), GATConv(64, n_latent)
        self.fsm = None if semantic_channels is None else FSM(n_latent, semantic_channels)
        self.conv3, self.conv4 = GATConv(n_latent, 64), GATConv(64, in_channels)

    def encode(self, x, edge_index, semantics=None):
        z = self.conv2(self.conv1(x, edge_index).relu(), edge_index)
        return z if self.fsm is None else self.fsm(z, semantics)

    def forward(self, x, edge_index, semantics=None):
        z = self.encode(x, edge_index, semantics)
        return self.conv4(self.conv3(z, edge_index).relu(), edge_index)


def embed(adata: AnnData, *, semantics_key: str | None, epochs=150, n_latent=15, semantic_hops=2, seed=0) -> ndarray:
    """Return the latent space, shape `(n_obs, n_latent)`; needs `X_pca`, squidpy's graph and the semantics."""
    x = torch.tensor(adata.obsm["X_pca"].copy(), dtype=torch.float32)
    x = x / x.std()
    semantics = None if semantics_key is None else torch.tensor(adata.obsm[semantics_key])
    edges, _ = from_scipy_sparse_matrix(adata.obsp["spatial_connectivities"].tocoo())
    if semantics is not None:
        # One spot's few counts make a noisy sentence: unaveraged, it would undo the smoothness of the graph layers
        for _ in range(semantic_hops):
            semantics = SimpleConv("mean", combine_root="self_loop")(semantics, edges)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Autoencoder(x.shape[1], None if semantics is None else semantics.shape[1], n_latent)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        for _ in range(epochs):
            loss = (model(x, edges, semantics) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            return model.encode(x, edges, semantics).numpy()
