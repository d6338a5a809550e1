"""Type aliases of the package."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy import sparse

Matrix: TypeAlias = np.ndarray | sparse.csr_matrix | sparse.csr_array | sparse.csc_matrix | sparse.csc_array
"""An expression matrix in memory."""

Seed: TypeAlias = int | np.random.Generator | None
"""What `rng` accepts, as `numpy.random.default_rng`."""
