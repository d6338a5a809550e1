"""Scores of domains and representations, with and without labels.

All take arrays or columns of `adata.obs`: first what is scored, then what it is scored with. Spots without label (NaN)
are left out.
"""

from .agreement import ari, completeness, homogeneity, nmi
from .compactness import chaos, pas, spatial_asw
from .representation import knn_purity, spatial_probe

__all__ = [
    "ari",
    "chaos",
    "completeness",
    "homogeneity",
    "knn_purity",
    "nmi",
    "pas",
    "spatial_asw",
    "spatial_probe",
]
