"""Graph convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .propagation import SparseInput, SpotGraph

__all__ = ["GraphConv"]


class GraphConv(nn.Module):
    r"""Graph convolution :math:`\hat A X W + b` (Kipf & Welling, 2017).

    The product :math:`X W` comes first, so sparse expression is never densified.

    Parameters
    ----------
    in_channels
        Number of input features, such as genes.
    out_channels
        Number of output features.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights (Glorot), zero biases."""
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor | SparseInput, graph: SpotGraph) -> Tensor:
        """Convolve features of shape `(n_spots, in_channels)` over a graph of `n_spots`."""
        return graph @ (x @ self.weight) + self.bias

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels})"
