"""Spatial and expression graphs, as sparse matrices."""
