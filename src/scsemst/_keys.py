"""Every key that scsemst writes to, or by default reads from, an AnnData object."""

from __future__ import annotations

# Read by default (written by squidpy and by Space Ranger readers)
SPATIAL = "spatial"
"""`obsm`: coordinates of the spots, shape `(n_obs, 2)` or `(n_obs, 3)`."""
SPATIAL_CONNECTIVITIES = "spatial_connectivities"
"""`obsp`: squidpy's spatial graph."""
TABLE = "table"
"""`tables` of a SpatialData object: the one that spatialdata-io's readers write."""
SPATIALDATA = "spatialdata_attrs"
"""`uns`: what SpatialData knows of a table of its own."""

# pp.gene_semantics / pp.spot_semantics
GENE_SEMANTICS = "X_gene_semantics"
"""`obsm` and `uns`: spot vectors aggregated from gene vectors, and how they were made."""
SPOT_SEMANTICS = "X_spot_semantics"
"""`obsm` and `uns`: spot vectors read from a language model's prompt, and how they were made."""

# tl.semst
SEMST = "semst"
"""`obs`: domains; `uns`: parameters, loss history, versions."""


def embedding(key_added: str) -> str:
    """`obsm` key of the latent space that belongs to `key_added`."""
    return f"X_{key_added}"


def colors(key_added: str) -> str:
    """`uns` key of the palette of a categorical `obs` column, scanpy's convention."""
    return f"{key_added}_colors"


# tl.n_domains, tl.semantic_drivers
N_DOMAINS = "n_domains"
"""`uns`: scores of each number of domains, and the one chosen."""
SEMANTIC_DRIVERS = "semantic_drivers"
"""`uns`: contribution of each gene to each domain's modulation."""


def modulated(use_rep: str) -> str:
    """`obsm` and `uns` key of an embedding after `tl.modulate`."""
    return f"{use_rep}_semst"


def alpha(key_added: str) -> str:
    """`obsm` key of the scaling that a run's semantic modulation applies to each spot and feature."""
    return f"{key_added}_alpha"


def beta(key_added: str) -> str:
    """`obsm` key of the shift that a run's semantic modulation applies to each spot and feature."""
    return f"{key_added}_beta"


# tl.predict
def probability(key_added: str) -> str:
    """`obs` key of the probability of each spot's predicted domain."""
    return f"{key_added}_probability"
