"""Tools: the SemST model and domains."""

from ._domains import domains
from ._leiden_domains import leiden_domains
from ._modulate import modulate
from ._n_domains import n_domains
from ._predict import predict
from ._refine import refine
from ._semantic_drivers import semantic_drivers
from ._semst import semst

__all__ = ["domains", "leiden_domains", "modulate", "n_domains", "predict", "refine", "semantic_drivers", "semst"]
