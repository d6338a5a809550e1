"""Spatial and expression graphs, as sparse matrices."""

from .features import feature_graph
from .genes import gene_mixing
from .local import local_graph
from .spatial import spatial_graph

__all__ = ["feature_graph", "gene_mixing", "local_graph", "spatial_graph"]
