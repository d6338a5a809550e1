"""Pure torch modules of the SemST model."""

from .fsm import FSM
from .graph_conv import GraphConv
from .graph_encoder import GraphEncoder
from .likelihoods import NB, ZINB, Gaussian, Likelihood, Observed, Poisson
from .neighbor_loss import NeighborLoss
from .propagation import SparseInput, SpotGraph
from .redundancy_loss import RedundancyLoss
from .semst import Encoding, SemST

__all__ = [
    "FSM",
    "NB",
    "ZINB",
    "Encoding",
    "Gaussian",
    "GraphConv",
    "GraphEncoder",
    "Likelihood",
    "NeighborLoss",
    "Observed",
    "Poisson",
    "RedundancyLoss",
    "SemST",
    "SparseInput",
    "SpotGraph",
]
