"""FSM in PyTorch Geometric's graph autoencoders: `GAE` and `VGAE` with a modulated encoder.

The encoder is PyG's own `GCN`. One line puts the meaning of genes into it: features, times 1 + α, plus β.
"""

from __future__ import annotations

import torch
from anndata import AnnData
from numpy import ndarray
from torch_geometric.nn import GAE, GCN, VGAE, SimpleConv
from torch_geometric.utils import from_scipy_sparse_matrix

from scsemst.nn import FSM


class Encoder(torch.nn.Module):
    def __init__(self, in_channels: int, semantic_channels: int | None, *, n_latent: int, heads: int):
        super().__init__()
        self.heads = heads  # 1: a latent vector; 2: its mean and log standard deviation, as VGAE expects
        self.gcn = GCN(in_channels, 64, num_layers=2, out_channels=64, act="elu")
        self.fsm = None if semantic_channels is None else FSM(64, semantic_channels)
        self.out = torch.nn.Linear(64, heads * n_latent)

    def forward(self, x, edge_index, semantics=None):
        h = self.gcn(x, edge_index)
        if self.fsm is not None:
            h = self.fsm(h, semantics)
        return self.out(h) if self.heads == 1 else self.out(h).chunk(2, dim=1)


def embed(
    adata: AnnData, *, semantics_key: str | None, variational=True, epochs=100, n_latent=15, semantic_hops=2, seed=0
) -> ndarray:
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
        size = None if semantics is None else semantics.shape[1]
        encoder = Encoder(x.shape[1], size, n_latent=n_latent, heads=2 if variational else 1)
        model = VGAE(encoder) if variational else GAE(encoder)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(epochs):
            z = model.encode(x, edges, semantics)
            loss = model.recon_loss(z, edges, torch.randint(len(x), edges.shape))
            if variational:
                loss = loss + model.kl_loss() / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            return model.encode(x, edges, semantics).numpy()
