"""Pure torch modules of the SemST model."""

from .fsm import FSM
from .graph_conv import GraphConv
from .likelihoods import NB, ZINB, Gaussian, Likelihood, Observed, Poisson
from .neighbor_loss import NeighborLoss
from .propagation import SparseInput, SpotGraph
from .redundancy_loss import RedundancyLoss

__all__ = [
    "FSM",
    "NB",
    "ZINB",
    "Gaussian",
    "GraphConv",
    "Likelihood",
    "NeighborLoss",
    "Observed",
    "Poisson",
    "RedundancyLoss",
    "SparseInput",
    "SpotGraph",
]
