"""One view of the model: a two-layer graph convolutional network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .graph_conv import GraphConv
from .propagation import SparseInput, SpotGraph

__all__ = ["GraphEncoder"]


class GraphEncoder(nn.Module):
    r"""Two graph convolutions, :math:`H = \phi(\hat A\, \phi(\hat A X W_1 + b_1) W_2 + b_2)`.

    Parameters
    ----------
    in_channels
        Number of genes.
    hidden_channels
        Size of the first layer.
    out_channels
        Size of the second layer, that of the first by default.
    activation
        `"relu"`, the paper's, or `"prelu"`: one learned slope per feature below zero, which starts at one, so that
        the network starts linear.
    n_batches
        Number of slices (batches), each of which has a bias of its own in the first layer; one by default.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int | None = None,
        *,
        activation: str = "prelu",
        n_batches: int = 1,
    ) -> None:
        super().__init__()
        sizes = (hidden_channels, hidden_channels if out_channels is None else out_channels)
        if activation not in {"relu", "prelu"}:
            raise ValueError(f"activation={activation!r} is not one of 'relu', 'prelu'.")
        self.activation = activation
        self.first = GraphConv(in_channels, hidden_channels)
        self.batch_bias = nn.Parameter(torch.zeros(n_batches, hidden_channels)) if n_batches > 1 else None
        self.second = GraphConv(*sizes)
        self.activations = nn.ModuleList(
            nn.PReLU(size, init=1.0) if activation == "prelu" else nn.ReLU() for size in sizes
        )

    def reset_parameters(self) -> None:
        """Draw new weights."""
        self.first.reset_parameters()
        self.second.reset_parameters()
        if self.batch_bias is not None:
            nn.init.zeros_(self.batch_bias)
        for activation in self.activations:
            if isinstance(activation, nn.PReLU):
                activation.reset_parameters()

    @torch.no_grad()
    def start_from(self, components: Tensor, mean: Tensor) -> None:
        """Start as a projection on principal components, averaged twice over the graph.

        Parameters
        ----------
        components
            Loadings, shape `(in_channels, hidden_channels)`.
        mean
            Mean of the input that the loadings were centred with, shape `(in_channels,)`; with several batches, of each
            of them, shape `(n_batches, in_channels)`.
        """
        self.reset_parameters()
        self.first.weight.copy_(components)
        bias = self.first.bias if self.batch_bias is None else self.batch_bias
        bias.copy_(-(mean @ components))
        nn.init.eye_(self.second.weight)

    def forward(self, x: Tensor | SparseInput, graph: SpotGraph, batch: Tensor | None = None) -> Tensor:
        """Encode features of shape `(n_spots, in_channels)` to `(n_spots, out_channels)`.

        Parameters
        ----------
        x
            Features.
        graph
            Graph of `n_spots`.
        batch
            Batch of each spot, where there are several, shape `(n_spots,)`.
        """
        hidden = self.first(x, graph)
        if self.batch_bias is not None:
            hidden = hidden + F.embedding(batch, self.batch_bias)
        first, second = self.activations
        return second(self.second(first(hidden), graph))
