"""The SemST model."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .fsm import FSM
from .graph_encoder import GraphEncoder
from .likelihoods import Likelihood, Observed
from .neighbor_loss import NeighborLoss
from .propagation import SparseInput, SpotGraph
from .redundancy_loss import RedundancyLoss

__all__ = ["Encoding", "SemST"]


class Encoding(NamedTuple):
    """What the encoder computes, each of shape `(n_spots, …)`."""

    latent: Tensor
    spatial: Tensor
    feature: Tensor | None


class SemST(nn.Module):
    r"""Dual graph network whose features are modulated by the meaning of genes.

    Two 2-layer graph convolutional networks read the expression, one over the spatial graph
    (:math:`H_\mathrm{spa}`) and one over the expression graph (:math:`H_\mathrm{fea}`). Their concatenation
    :math:`Z` is modulated by the spot's semantic vector, :math:`Z' = (1+\alpha) \odot Z + \beta`, an MLP
    gives the latent vector, and a decoder gives the parameters of the counts' distribution (Long et al., 2025,
    arXiv:2511.11380).

    Parameters
    ----------
    in_channels
        Number of genes that the encoder reads.
    likelihood
        Decoder heads and likelihood of the counts; its `in_channels` is the decoder's hidden size.
    hidden_channels
        Size of the first layer of each view.
    view_channels
        Size of the second layer of each view, that of the first by default.
    n_latent
        Size of the latent space.
    semantic_channels
        Size of the semantic vectors; without them (`None`) there is no modulation.
    feature_view
        Whether there is a second view, over the expression graph.
    activation
        See :class:`GraphEncoder`.
    latent_layers
        Layers of the MLP from the modulated features to the latent space.
    neighbor_loss
        Loss between spots; :class:`NeighborLoss` by default.
    n_batches
        Number of slices (batches), each with its own bias in the first layer of each view; the likelihood has to be
        made for as many.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from scipy import sparse
    >>> from scsemst.nn import ZINB, Observed, SemST, SparseInput, SpotGraph
    >>> counts = sparse.random(30, 20, density=0.2, format="csr", random_state=0)
    >>> counts.data = np.ceil(5 * counts.data)
    >>> ring = sparse.csr_matrix(np.roll(np.eye(30), 1, axis=1) + np.roll(np.eye(30), -1, axis=1))
    >>> model = SemST(20, ZINB(16, 20), hidden_channels=8, n_latent=4, feature_view=False)
    >>> model(SparseInput(counts.log1p()), SpotGraph(ring)).shape
    torch.Size([30, 4])
    """

    def __init__(
        self,
        in_channels: int,
        likelihood: Likelihood,
        *,
        hidden_channels: int = 64,
        view_channels: int | None = None,
        n_latent: int = 16,
        semantic_channels: int | None = None,
        feature_view: bool = True,
        activation: str = "prelu",
        latent_layers: int = 1,
        neighbor_loss: NeighborLoss | None = None,
        n_batches: int = 1,
    ) -> None:
        super().__init__()
        if likelihood.n_batches != n_batches:
            raise ValueError(f"n_batches={n_batches}, but the likelihood was made for {likelihood.n_batches}.")
        view_channels = hidden_channels if view_channels is None else view_channels
        width = view_channels * (2 if feature_view else 1)
        sizes = (in_channels, hidden_channels, view_channels)
        options: dict[str, Any] = {"activation": activation, "n_batches": n_batches}
        self.spatial_view = GraphEncoder(*sizes, **options)
        self.feature_view = GraphEncoder(*sizes, **options) if feature_view else None
        self.fsm = None if semantic_channels is None else FSM(width, semantic_channels)
        hidden = [layer for _ in range(latent_layers - 1) for layer in (nn.Linear(width, width), nn.ReLU())]
        self.to_latent = nn.Sequential(*hidden, nn.Linear(width, n_latent))
        self.decoder = nn.Sequential(nn.Linear(n_latent, likelihood.in_channels), nn.SiLU())
        self.likelihood = likelihood
        self.neighbor_loss = NeighborLoss() if neighbor_loss is None else neighbor_loss
        self.redundancy_loss = RedundancyLoss()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        for module in (self.spatial_view, self.feature_view, self.fsm, self.likelihood):
            if module is not None:
                module.reset_parameters()
        for layer in [*self.to_latent, *self.decoder]:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()

    @torch.no_grad()
    def start_from(self, components: Tensor, mean: Tensor) -> None:
        """Start with principal components, averaged over the graphs, as the latent space.

        Parameters
        ----------
        components
            Loadings, shape `(in_channels, hidden_channels)`.
        mean
            Mean of the input that the loadings were centred with, see :meth:`GraphEncoder.start_from`.
        """
        views = [view for view in (self.spatial_view, self.feature_view) if view is not None]
        for view in views:
            view.start_from(components, mean)
        first, n_latent = self.to_latent[0], self.to_latent[-1].out_features
        if len(self.to_latent) > 1:
            raise ValueError("start_from needs latent_layers=1: a deeper map cannot start as a projection.")
        block = torch.eye(n_latent, components.shape[1]) / len(views)
        first.weight.copy_(torch.cat([block] * len(views), dim=1))
        nn.init.zeros_(first.bias)

    def encode(
        self,
        x: Tensor | SparseInput,
        spatial_graph: SpotGraph,
        feature_graph: SpotGraph | None = None,
        semantics: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Encoding:
        """Return the latent vectors and both views.

        Parameters
        ----------
        x
            Expression, shape `(n_spots, in_channels)`.
        spatial_graph
            Graph of neighbours in the tissue.
        feature_graph
            Graph of spots with like expression.
        semantics
            Semantic vectors, shape `(n_spots, semantic_channels)`.
        batch
            Batch of each spot, where there are several, shape `(n_spots,)`.
        """
        z = spatial = self.spatial_view(x, spatial_graph, batch)
        feature = None
        if self.feature_view is not None:
            feature = self.feature_view(x, feature_graph, batch)
            z = torch.cat([spatial, feature], dim=1)
        if self.fsm is not None:
            z = self.fsm(z, semantics)
        return Encoding(self.to_latent(z), spatial, feature)

    def forward(
        self,
        x: Tensor | SparseInput,
        spatial_graph: SpotGraph,
        feature_graph: SpotGraph | None = None,
        semantics: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Return the latent vectors, shape `(n_spots, n_latent)`; parameters as in :meth:`encode`."""
        return self.encode(x, spatial_graph, feature_graph, semantics, batch).latent

    def loss(
        self,
        encoding: Encoding,
        observed: Observed,
        log_library: Tensor | None,
        edge_index: Tensor,
        batch: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the terms of the objective, each a scalar.

        Parameters
        ----------
        encoding
            What :meth:`encode` returned.
        observed
            Counts that the decoder explains.
        log_library
            Natural log of the library sizes, shape `(n_spots,)`.
        edge_index
            Ordered pairs of spatial neighbours, shape `(2, n_edges)`.
        batch
            Batch of each spot, where there are several, shape `(n_spots,)`.
        """
        terms = {
            "reconstruction": self.likelihood.loss(self.decoder(encoding.latent), observed, log_library, batch),
            "neighbor": self.neighbor_loss(encoding.latent, edge_index),
        }
        if encoding.feature is not None:
            terms["redundancy"] = self.redundancy_loss(encoding.spatial, encoding.feature)
        return terms
