"""The package's whole way, from counts to domains, on a tiled slice: the case that `scaling.py` and `million.py` measure."""

from __future__ import annotations

import ast
from typing import Any

from .data import N_DOMAINS, tiled_path
from .measure import measure, step

WARM_UP_SPOTS = 400
STEPS = ("graph", "semantics", "fit", "domains")


def pipeline(n_spots: int, n_genes: int, options: dict[str, Any], access: str, n_init: int):
    """Case: spatial graph, semantics, fit and clustering, each a step.

    `access` is `"memory"`, `"backed"` or `"lazy"`: how the counts are opened; reading them in memory is part of the
    step that does it, and of the peak.
    """
    import anndata as ad
    import squidpy as sq

    import scsemst

    def read(rows: slice | None = None):
        path = tiled_path(n_spots, n_genes)
        if rows is not None:
            return ad.read_h5ad(path, backed="r")[rows].to_memory()
        if access == "lazy":
            return ad.experimental.read_lazy(path)
        return ad.read_h5ad(path, backed="r" if access == "backed" else None)

    def way(adata, n_domains: int) -> dict[str, Any]:
        with step("graph"):
            sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
        with step("semantics"):
            scsemst.pp.gene_semantics(adata)
        with step("fit"):
            scsemst.tl.semst(adata, progress=False, **options)
        with step("domains"):
            scsemst.tl.domains(adata, n_domains, n_init=n_init)
        record = adata.uns["semst"]
        return {"epochs": int(record["stopped_epoch"]), "n_found": int(adata.obs["semst"].nunique())}

    small = read(slice(0, WARM_UP_SPOTS))
    scsemst.pp.gene_semantics(small)
    sq.gr.spatial_neighbors_knn(small, n_neighs=6)
    scsemst.tl.semst(small, epochs=1, progress=False)
    scsemst.tl.domains(small, 3, n_init=2)
    _compile_neighbors()

    def run() -> dict[str, Any]:
        with step("read"):
            adata = read()
        return way(adata, N_DOMAINS)

    return run


def _compile_neighbors() -> None:
    """Let numba compile the approximate search: a price that is paid once, however many spots."""
    import numpy as np
    from pynndescent import NNDescent

    z = np.random.default_rng(0).normal(size=(2000, 30))
    NNDescent(z.astype(np.float32), n_neighbors=16, random_state=0, n_jobs=1)
    NNDescent(z, n_neighbors=16, random_state=0, n_jobs=1)


def run_pipeline(
    n_spots: int,
    *,
    n_genes: int,
    options: dict[str, Any],
    access: str,
    n_init: int,
    threads: int,
    limit: float | None,
    keep: bool = False,
) -> dict[str, Any]:
    """Write the tiled slice if it is not there, measure the pipeline on it, and delete it."""
    path = tiled_path(n_spots, n_genes)
    made = {} if path.exists() else measure("benchmarks.performance.data:write_tiled", n_spots=n_spots, n_genes=n_genes)
    if "error" in made:
        return {"spots": n_spots, "genes": n_genes, **made}
    found = measure(
        "benchmarks.performance.pipeline:pipeline",
        threads=threads,
        limit=limit,
        n_spots=n_spots,
        n_genes=n_genes,
        options=options,
        access=access,
        n_init=n_init,
    )
    if not keep:
        path.unlink(missing_ok=True)
    return {"spots": n_spots, "genes": n_genes, **found}


def add_arguments(parser: Any) -> None:
    """Add what both scripts take."""
    parser.add_argument("--genes", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--n-init", type=int, default=5, help="starts of the mixture")
    parser.add_argument("--access", choices=["memory", "backed", "lazy"], default="memory")
    parser.add_argument("--limit", type=float, help="seconds after which a case is stopped")
    parser.add_argument("--keep", action="store_true", help="keep the tiled slices")
    parser.add_argument("options", nargs="*", help="of tl.semst, such as epochs=5 batch_size=8192")


def parse_options(words: list[str]) -> dict[str, Any]:
    """Turn `["epochs=5", "likelihood=nb"]` into a dictionary."""
    options = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options
