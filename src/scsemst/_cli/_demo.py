"""`scsemst demo`: the four calls on a slice of human cortex, timed, scored against its annotation and drawn."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import ArrayLike

ANNOTATION = "ground_truth"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the command line."""
    demo = commands.add_parser("demo", help="find, score and draw the layers of a slice of human cortex")
    demo.add_argument("--output", type=Path, default=Path("demo"), help="folder of the picture (default: demo)")
    demo.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds to run (default: 1)")
    demo.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo, print times and scores, write `domains.png`."""
    if args.seeds < 1:
        raise SystemExit(f"--seeds must be at least 1, found {args.seeds}.")
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"There is no folder {str(args.output)!r} to write to: {error}.") from error
    with _timed("import the libraries"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, about each other
        import matplotlib as mpl

        mpl.use("agg")
        import scanpy as sc  # noqa: F401
        import squidpy as sq
        import torch  # noqa: F401

        from scsemst import datasets, pp, tl

        from ._baseline import smoothed_pca_mixture

        logging.getLogger("spatialdata._logging").setLevel(logging.WARNING)  # squidpy's logger: a line for each graph
    with _timed("datasets.dlpfc"):
        adata = datasets.dlpfc()
    n_domains = adata.obs[ANNOTATION].nunique()
    print(f"  {adata.n_obs} spots x {adata.n_vars} genes, {n_domains} layers; the annotation is read to score, only")
    with _timed("sq.gr.spatial_neighbors_knn"):
        sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    with _timed("pp.gene_semantics"):
        pp.gene_semantics(adata)

    ours, baseline = [], []
    for seed in reversed(range(args.seeds)):  # seed 0, the default, is the one that stays and is drawn
        with _timed(f"tl.semst, seed {seed}"):
            tl.semst(adata, n_domains=n_domains, rng=seed)
        ours.append(_scores(adata, adata.obs["semst"]))
        with _timed(f"ten-line baseline, seed {seed}"):
            labels = smoothed_pca_mixture(adata, n_domains, random_state=seed)
        baseline.append(_scores(adata, labels))

    with _timed("pl.domains"):
        path = _draw(adata, args.output)
    print(f"\n{'':24}{'ARI':>16}{'NMI':>16}")
    for name, scores in (("scsemst", ours), ("ten-line baseline", baseline)):
        print(f"{name:24}" + "".join(f"{_mean_sd(values):>16}" for values in zip(*scores, strict=True)))
    print(f"\nannotation beside prediction (seed 0): {path}")
    return 0


@contextmanager
def _timed(step: str) -> Iterator[None]:
    start = perf_counter()
    yield
    print(f"{step:32}{perf_counter() - start:8.1f} s", flush=True)


def _scores(adata: AnnData, labels: ArrayLike) -> tuple[float, float]:
    from scsemst.metrics import ari, nmi

    return ari(labels, adata.obs[ANNOTATION]), nmi(labels, adata.obs[ANNOTATION])


def _mean_sd(values: Sequence[float]) -> str:
    import numpy as np

    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _draw(adata: AnnData, folder: Path) -> Path:
    import matplotlib.pyplot as plt

    from scsemst import pl

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    titles = ["expert annotation", "scsemst"]
    pl.domains(adata, [ANNOTATION, "semst"], title=titles, ax=axes, show=False)
    figure.savefig(path := folder / "domains.png", dpi=150, bbox_inches="tight")
    plt.close(figure)
    return path
