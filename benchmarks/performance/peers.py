"""How long do others take on the same slice?

DLPFC 151673, from raw counts to domains or, for GraphST, to its embedding: its clustering needs R. Each case in a
fresh process, after import and loading; peers in the environment that `benchmarks/accuracy/setup_peers.sh` makes.
Methods run as in the accuracy benchmark. GraphST multiplies by a dense N×N matrix as it ships; with it made sparse the
product is the same and faster, so that is what all its epochs are timed with, and a few epochs as it ships besides.

Write `benchmarks/results/performance/peers.json` and print a table:

    python -m benchmarks.performance.peers [--graphst-epochs 600] [--limit 3600]
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .data import N_DOMAINS, load
from .measure import PEERS_PYTHON, measure, setting, write
from .report import print_table

HERE = "benchmarks.performance.peers"


def method(name: str):
    """Case: a method as the accuracy benchmark runs it, from counts to labels."""
    import importlib

    from benchmarks.accuracy.methods import METHODS

    adata = load()
    module, function = METHODS[name].target.split(":")
    run_method = getattr(importlib.import_module(module), function)
    _imports(name)

    def run() -> dict[str, Any]:
        labels, _ = run_method(adata, N_DOMAINS, 0)
        return {"domains": len(set(labels.tolist()))}

    return run


def graphst(epochs: int, sparse: bool):
    """Case: GraphST's preprocessing and training."""
    import numpy as np
    import torch
    from GraphST.GraphST import GraphST

    adata = load()

    def run() -> dict[str, Any]:
        model = GraphST(adata, device=torch.device("cpu"), random_seed=0, epochs=epochs)
        if sparse:
            model.adj = model.adj.to_sparse()
        embedding = np.asarray(model.train().obsm["emb"])
        return {"epochs": epochs, "dimensions": embedding.shape[1]}

    return run


def _imports(name: str) -> None:
    """Import what the method imports when it runs, so that importing is not timed."""
    import scanpy  # noqa: F401
    import skmisc.loess  # noqa: F401
    import squidpy  # noqa: F401

    if name == "semst":
        import torch

        import scsemst.domains.consensus
        import scsemst.nn
        import scsemst.training  # noqa: F401

        torch.zeros(1)
    elif name == "cellcharter":
        import cellcharter  # noqa: F401
    elif name == "banksy":
        import banksy.embed_banksy
        import banksy.initialize_banksy  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--graphst-epochs", type=int, default=600)
    parser.add_argument("--dense-epochs", type=int, default=10, help="of GraphST as it ships")
    parser.add_argument("--limit", type=float, default=3600.0)
    parser.add_argument("--only", nargs="+")
    args = parser.parse_args()
    if not PEERS_PYTHON.exists():
        parser.error("Run benchmarks/accuracy/setup_peers.sh first.")
    cases: dict[str, dict[str, Any]] = {
        "scsemst": {"target": f"{HERE}:method", "python": sys.executable, "name": "semst"},
        "cellcharter": {"target": f"{HERE}:method", "name": "cellcharter"},
        "pybanksy": {"target": f"{HERE}:method", "name": "banksy"},
        "GraphST, as it ships": {"target": f"{HERE}:graphst", "epochs": args.dense_epochs, "sparse": False},
        "GraphST, sparse product": {"target": f"{HERE}:graphst", "epochs": args.graphst_epochs, "sparse": True},
    }
    rows = {}
    for name, case in cases.items():
        if args.only is None or name in args.only:
            rows[name] = measure(**{"python": PEERS_PYTHON, **case}, threads=args.threads, limit=args.limit)
            print(name, rows[name], flush=True)
            record = {"setting": setting(threads=args.threads), "rows": rows}
            write("peers", record)
    print_table("peers", record)


if __name__ == "__main__":
    main()
