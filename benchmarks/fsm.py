"""FSM in other models: without it, with the genes' meanings, and with the meanings shuffled over genes.

    python -m benchmarks.fsm [--slices NAME ...] [--models NAME ...] [--seeds 5] [--unaveraged]

Models are the recipes in `tutorials/recipes/`; they see unlabelled copies of the slices, and labels only score what
they return: ARI of a mixture with the annotated number of domains, k-nearest-neighbour purity and a spatially blocked
linear probe. Runs in `benchmarks/results/fsm.json` are kept, so the command can be stopped and called again. With
`--unaveraged`, no recipe averages the semantics over the spatial graph, and the runs lie in `fsm_unaveraged.json`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from functools import cache

if __name__ == "__main__":  # before numpy is imported, and not where a test imports this
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import squidpy as sq

from scsemst import metrics
from scsemst.domains.mixture import fit_mixture

from .accuracy.methods.semst import likelihood
from .accuracy.methods.semst_ablations import SEMANTICS, write_semantics
from .accuracy.slices import REPOSITORY, RESULTS, SLICES, slice_path, unlabelled
from .accuracy.stats import bootstrap, interval, paired

OUTPUT = RESULTS / "fsm.json"
UNAVERAGED = RESULTS / "fsm_unaveraged.json"
KEYS = ["model", "slice", "semantics", "seed"]
METRICS = ["ari", "knn_purity", "spatial_probe"]
MODELS = {
    "GAE": ("vgae", {"variational": False}),
    "VGAE": ("vgae", {}),
    "DGI": ("deep_graph_infomax", {}),
    "GAT autoencoder": ("gat_autoencoder", {}),
    "tl.modulate of NMF": ("modulate", {}),
    "tl.modulate of CellCharter": ("cellcharter_embedding", {}),
    "tl.modulate of GraphST": ("graphst_embedding", {}),
}


@cache
def recipe(name: str):
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "tutorials" / "recipes" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def prepared(name: str) -> tuple[ad.AnnData, pd.Series]:
    """Return a slice as models see it, and its annotation."""
    full = ad.read_h5ad(slice_path(name))
    filled = np.asarray(full.X.sum(axis=1)).ravel() > 0
    truth = full.obs["ground_truth"][filled]
    adata = unlabelled(full[filled])
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    logged = sc.pp.log1p(sc.pp.normalize_total(adata, target_sum=1e4, copy=True), copy=True)
    adata.obsm["X_pca"] = sc.pp.pca(logged.X, n_comps=min(50, *(np.array(adata.shape) - 1)), random_state=0)
    return adata, truth


@cache
def graphst(name: str, seed: int) -> np.ndarray:
    """Return GraphST's embedding, which takes longer than all else and is the same for all semantics."""
    return recipe("graphst_embedding").graphst(prepared(name)[0], seed=seed)


def run(model: str, name: str, semantics: str, seed: int, *, averaged: bool = True) -> dict[str, object]:
    adata, truth = prepared(name)
    adata = adata.copy()
    if semantics != "none":
        write_semantics(adata, semantics, seed)
    module, options = MODELS[model]
    if model.startswith("tl.modulate"):
        options = options | {"likelihood": likelihood(adata)}
    if model == "tl.modulate of GraphST":
        adata.obsm["X_graphst"] = graphst(name, seed)
    if not averaged:
        options = options | {"semantic_hops": 0}
    z = recipe(module).embed(adata, semantics_key=None if semantics == "none" else SEMANTICS, seed=seed, **options)
    labels = fit_mixture(z, SLICES[name].n_domains, n_init=10, rng=seed).labels
    scores = (
        metrics.ari(labels, truth),
        metrics.knn_purity(z, truth),
        metrics.spatial_probe(z, truth, adata.obsm["spatial"]),
    )
    return dict(zip(KEYS, (model, name, semantics, seed), strict=True)) | {
        metric: round(float(value), 4) for metric, value in zip(METRICS, scores, strict=True)
    }


def table(runs: pd.DataFrame) -> str:
    """Mean ± sd over seeds, of the mean over the slices that all three rows of a model have."""
    lines = ["| model | semantics | slices | seeds | ARI | kNN purity | probe |", "| --- " * 7 + "|"]
    for model in [m for m in MODELS if m in set(runs["model"])]:
        part = runs[runs["model"] == model]
        kinds = part.groupby(["slice", "seed"])["semantics"].nunique()
        part = part.set_index(["slice", "seed"]).loc[kinds[kinds == 3].index].reset_index()
        for kind in ("none", "real", "shuffled"):
            by_seed = part[part["semantics"] == kind].groupby("seed")[METRICS].mean()
            cells = [f"{by_seed[m].mean():.3f} ± {by_seed[m].std():.3f}" for m in METRICS]
            lines.append(
                f"| {model} | {kind} | {part['slice'].nunique()} | {part['seed'].nunique()} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def differences(runs: pd.DataFrame) -> str:
    """Paired differences between the rows of a model, with the 95 % interval of a bootstrap over slices and seeds."""
    pairs = [("real", "none"), ("real", "shuffled")]
    names = [f"{a} − {b}: ARI | kNN purity | probe" for a, b in pairs]
    lines = [f"| model | {' | '.join(names)} |", "| --- " * 7 + "|"]
    for model in [m for m in MODELS if m in set(runs["model"])]:
        part = runs[runs["model"] == model].rename(columns={"semantics": "method"})
        found = [bootstrap(paired(part, a, b, metric)) for a, b in pairs for metric in METRICS]
        lines.append(f"| {model} | {' | '.join(map(interval, found))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", nargs="+", choices=SLICES, default=[n for n in SLICES if SLICES[n].averaged])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--unaveraged", action="store_true")
    options = parser.parse_args()
    output = UNAVERAGED if options.unaveraged else OUTPUT
    runs = json.loads(output.read_text()) if output.exists() else []
    done = {tuple(row[key] for key in KEYS) for row in runs}
    for name in options.slices:
        if not slice_path(name).exists():
            print(f"{name}: {slice_path(name)} is missing, skipped")
            continue
        for seed in range(options.seeds):
            for model in options.models:
                for semantics in ("none", "real", "shuffled"):
                    if (model, name, semantics, seed) not in done:
                        runs.append(run(model, name, semantics, seed, averaged=not options.unaveraged))
                        print(*runs[-1].values(), flush=True)
                        output.write_text(json.dumps(runs, indent=0) + "\n")
    print(table(pd.DataFrame(runs)), differences(pd.DataFrame(runs)), sep="\n\n")


if __name__ == "__main__":
    main()
