"""How fast is message passing, forward and backward, against PyG's `GCNConv`?

A random graph of six neighbours in the plane; one convolution of H features to H, gradients in input and weight:

- `GraphConv` on a `SpotGraph`
- `GCNConv(cached=True)` on an `edge_index`: its normalisation is computed before, too
- `GCNConv` on the same matrix as a CSR tensor, normalised before

and a first layer, 300 genes to H, on expression of which 8 % is not zero: `GraphConv` on a `SparseInput`, `GCNConv` on a
dense matrix. Each case in a fresh process, after one pass to warm up. Milliseconds are the fastest of several passes.

Write `benchmarks/results/performance/propagation.json` and print a table:

    python -m benchmarks.performance.propagation [--nodes 4000 50000 500000] [--channels 64 256]
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from typing import Any

import numpy as np

from .measure import measure, setting, write
from .report import print_table

N_GENES = 300
DENSITY = 0.08
METHODS = ("scsemst", "pyg_edge_index", "pyg_csr")


def plane(n: int, k: int = 6):
    """Return the symmetric k-nearest-neighbour graph of random points, in an order that follows the plane."""
    from scipy import sparse
    from sklearn.neighbors import kneighbors_graph

    points = np.random.default_rng(0).uniform(size=(n, 2))
    strips = np.floor(points[:, 0] * np.sqrt(n) / 8)  # spots of a slice are stored roughly in the order of places
    points = points[np.lexsort([points[:, 1], strips])]
    graph = kneighbors_graph(points, k)
    return sparse.csr_matrix(graph.maximum(graph.T), dtype=np.float32)


def convolution(method: str, n: int, channels: int, first_layer: bool = False, repeats: int = 3):
    """Case: forward and backward of one convolution."""
    import torch
    from scipy import sparse

    graph = plane(n)
    generator = torch.Generator().manual_seed(0)
    if first_layer:
        rng = np.random.default_rng(0)
        flat = np.unique(rng.integers(n * N_GENES, size=int(n * N_GENES * DENSITY)))
        values = np.ones(flat.size, np.float32)
        x = sparse.csr_matrix((values, (flat // N_GENES, flat % N_GENES)), shape=(n, N_GENES))
    else:
        x = torch.randn(n, channels, generator=generator)
    outer = torch.randn(n, channels, generator=generator)
    n_in = N_GENES if first_layer else channels
    build = _ours if method == "scsemst" else _pyg
    forward, parameters = build(method, graph, x, n_in, channels)

    def step() -> tuple[float, float]:
        for parameter in parameters:
            parameter.grad = None
        start = time.perf_counter()
        out = forward()
        middle = time.perf_counter()
        out.backward(outer)
        return middle - start, time.perf_counter() - middle

    def run() -> dict[str, Any]:
        step()
        passes = np.array([step() for _ in range(repeats)])
        best = passes[passes.sum(axis=1).argmin()] * 1000
        checksum = float(parameters[0].grad.abs().mean())
        return {"forward_ms": best[0], "backward_ms": best[1], "ms": best.sum(), "gradient": checksum}

    return run


def _weight(n_in: int, channels: int):
    import torch

    return torch.randn(n_in, channels, generator=torch.Generator().manual_seed(1)) / n_in**0.5


def _ours(method: str, graph, x, n_in: int, channels: int):
    import torch

    from scsemst.nn import GraphConv, SparseInput, SpotGraph

    spots = SpotGraph(graph, normalization="sym")
    layer = GraphConv(n_in, channels)
    layer.weight.data.copy_(_weight(n_in, channels))
    parameters = [layer.weight]
    if isinstance(x, torch.Tensor):
        parameters.append(x.requires_grad_())
        read = x
    else:
        read = SparseInput(x)
    return lambda: layer(read, spots), parameters


def _pyg(method: str, graph, x, n_in: int, channels: int):
    import torch
    from torch_geometric.nn import GCNConv
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    from scsemst.nn.propagation import to_torch_csr

    index = torch.from_numpy(np.stack(graph.nonzero()).astype(np.int64))
    if method == "pyg_csr":
        from scipy import sparse

        (row, column), weight = gcn_norm(index, None, graph.shape[0])
        matrix = sparse.csr_matrix((weight.numpy(), (row.numpy(), column.numpy())), shape=graph.shape)
        edges, layer = to_torch_csr(matrix), GCNConv(n_in, channels, normalize=False)
    else:
        edges, layer = index, GCNConv(n_in, channels, cached=True)
    layer.lin.weight.data.copy_(_weight(n_in, channels).T)
    parameters = [layer.lin.weight]
    if isinstance(x, torch.Tensor):
        parameters.append(x.requires_grad_())
        read = x
    else:
        read = torch.from_numpy(x.toarray())
    return lambda: layer(read, edges), parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[4000, 50_000, 500_000])
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    rows = []
    cases = [(n, h, False, m) for n, h, m in product(args.nodes, args.channels, METHODS)]
    cases += [(n, args.channels[0], True, m) for n, m in product(args.nodes, METHODS[:2])]
    for n, channels, first_layer, method in cases:
        found = measure(
            "benchmarks.performance.propagation:convolution",
            threads=args.threads,
            method=method,
            n=n,
            channels=channels,
            first_layer=first_layer,
            repeats=5 if n < 20_000 else 2,
        )
        rows.append({"nodes": n, "channels": channels, "first_layer": first_layer, "method": method, **found})
        print(rows[-1], flush=True)
    record = {"setting": setting(threads=args.threads, genes=N_GENES, density=DENSITY), "rows": rows}
    write("propagation", record)
    print_table("propagation", record)


if __name__ == "__main__":
    main()
