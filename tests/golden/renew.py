"""What small runs give, in numbers that should only change on purpose. To renew: `python -m tests.golden.renew`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import scsemst

from ..slices import corner

if TYPE_CHECKING:
    from anndata import AnnData

GOLDEN = Path(__file__).with_name("small_runs.json")
RUNS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {"preset": "paper", "epochs": 5},
    "no semantics": {"semantics_key": None, "likelihood": "nb", "epochs": 5},
    "gaussian": {"likelihood": "gaussian", "epochs": 5},
    "in parts": {"batch_size": 60, "epochs": 5},
}


def runs(adata: AnnData) -> dict[str, AnnData]:
    """Return the slice after each run."""
    options = {"n_top_genes": 100, "progress": False, "copy": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: scsemst.tl.semst(adata, 4, **options, **chosen) for name, chosen in RUNS.items()}


def summary() -> dict[str, Any]:
    """Return what is compared: no signs or axes, which may turn with the linear algebra library."""
    adata = corner()
    vectors = adata.obsm["X_gene_semantics"]
    found: dict[str, Any] = {
        "semantics": {
            "n_genes_matched": adata.uns["X_gene_semantics"]["n_genes_matched"],
            "share_of_counts": adata.uns["X_gene_semantics"]["share_of_counts"],
            "lengths": np.linalg.norm(vectors, axis=1)[:10].tolist(),
        }
    }
    for name, result in runs(adata).items():
        z = result.obsm["X_semst"].astype(float)
        found[name] = {
            "loss": result.uns["semst"]["history"]["loss"].tolist(),
            "spread": z.std(axis=0)[:5].tolist(),
            "distances": np.linalg.norm(z[0] - z[1:11], axis=1).tolist(),
            "labels": "".join(result.obs["semst"]),
        }
    return found


def main() -> None:
    """Write the file."""
    GOLDEN.write_text(json.dumps(summary(), indent=1) + "\n")


if __name__ == "__main__":
    main()
