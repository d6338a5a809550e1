"""Fine-grained Semantic Modulation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FSM"]


class FSM(nn.Module):
    r"""Fine-grained Semantic Modulation: an element-wise affine map of features, steered by semantics.

    .. math:: Z' = (1 + \alpha(s)) \odot Z + \beta(s)

    where :math:`(\alpha, \beta)`, one pair per spot and feature, come from the semantic vector :math:`s` through an
    MLP head and a second MLP (Long et al., 2025, arXiv:2511.11380). The last layer starts at zero, so the
    module is the identity at initialisation and can be put into any trained or untrained model.

    Parameters
    ----------
    in_channels
        Size of the features that are modulated.
    semantic_channels
        Size of the semantic vectors.
    hidden_channels
        Size of the layer between them.

    Examples
    --------
    >>> import torch
    >>> from scsemst.nn import FSM
    >>> fsm = FSM(in_channels=16, semantic_channels=8)
    >>> z, semantics = torch.randn(5, 16), torch.randn(5, 8)
    >>> torch.equal(fsm(z, semantics), z)  # the identity, until it is trained
    True
    """

    def __init__(self, in_channels: int, semantic_channels: int, hidden_channels: int = 64) -> None:
        super().__init__()
        if semantic_channels < 2:
            raise ValueError(
                f"semantic_channels must be at least 2, found {semantic_channels}: the layer norm leaves nothing of a single one."
            )
        self.in_channels = in_channels
        self.semantic_channels = semantic_channels
        self.hidden_channels = hidden_channels
        # LayerNorm: the scale of language-model vectors varies by orders of magnitude between models, and
        # unscaled ones make the modulation diverge.
        self.head = nn.Sequential(
            nn.LayerNorm(semantic_channels), nn.Linear(semantic_channels, hidden_channels), nn.SiLU()
        )
        self.to_affine = nn.Sequential(
            nn.Linear(hidden_channels, hidden_channels), nn.SiLU(), nn.Linear(hidden_channels, 2 * in_channels)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights; the modulation starts as the identity."""
        for module in [*self.head, *self.to_affine]:
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        nn.init.zeros_(self.to_affine[-1].weight)
        nn.init.zeros_(self.to_affine[-1].bias)

    def affine(self, semantics: Tensor) -> tuple[Tensor, Tensor]:
        """Return α and β, each of shape `(n, in_channels)`, for semantics of shape `(n, semantic_channels)`."""
        alpha, beta = self.to_affine(self.head(semantics)).chunk(2, dim=-1)
        return alpha, beta

    def forward(self, z: Tensor, semantics: Tensor) -> Tensor:
        """Modulate features `z` of shape `(n, in_channels)` by `semantics` of shape `(n, semantic_channels)`."""
        alpha, beta = self.affine(semantics)
        return torch.addcmul(z + beta, alpha, z)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.semantic_channels}, hidden={self.hidden_channels})"
