"""A model trained on one slice, read out on another: by genes, and across gene panels by their meaning.

    python -m benchmarks.transfer

Training and prediction see counts, gene names and coordinates only, and the number of annotated classes of the source.
Annotations are read to score what was predicted. Writes `benchmarks/results/transfer.json` after every step and resumes
from models in `benchmarks/results/raw/transfer`; delete that folder after a change of the model.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from functools import cache

if __name__ == "__main__":  # before numpy is imported, and not where a test imports this
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import anndata as ad
import numpy as np
import squidpy as sq
from sklearn.metrics import adjusted_rand_score
from tqdm.auto import tqdm

import scsemst
from scsemst.graphs import spatial_graph
from scsemst.reuse.semantic_space import fit_transfer, spot_vectors
from scsemst.training.components import averaging_operator
from scsemst.training.expression import read_expression
from scsemst.training.start import project

from .accuracy.slices import RESULTS, SLICES, slice_path, unlabelled

STARMAP, BARISTA_1, BARISTA_2 = "starmap_visual_cortex", "baristaseq_slice1", "baristaseq_slice2"
DLPFC_1, DLPFC_2, OSMFISH = "dlpfc_151673", "dlpfc_151674", "osmfish"
BZ5, BZ9 = "starmap_mpfc_BZ5", "starmap_mpfc_BZ9"

# Named before any result was seen
NAMED = ((STARMAP, BARISTA_1), (STARMAP, BARISTA_2), (DLPFC_1, STARMAP), (DLPFC_2, STARMAP))
EXTRA = (
    (DLPFC_1, BARISTA_2),
    (BARISTA_2, STARMAP),
    (STARMAP, BZ9),
    (BZ9, STARMAP),
    (STARMAP, DLPFC_1),
    (STARMAP, OSMFISH),
    (OSMFISH, STARMAP),
    (BARISTA_2, BZ9),
    (BZ5, BARISTA_1),
    (DLPFC_1, DLPFC_2),
    (BARISTA_2, OSMFISH),
)
# Slices of one study: the first was named beforehand
BY_GENES = (
    (DLPFC_1, DLPFC_2),
    (DLPFC_2, DLPFC_1),
    (BZ5, BZ9),
    (BZ9, BZ5),
    (BARISTA_1, BARISTA_2),
    (BARISTA_2, BARISTA_1),
)
N_SEEDS, N_SHUFFLES, N_BOOT = 3, 20, 10_000
OUTPUT = RESULTS / "transfer.json"
MODELS = RESULTS / "raw" / "transfer"


@cache
def load(name: str) -> ad.AnnData:
    """A slice without annotation, with graph and semantics."""
    adata = unlabelled(ad.read_h5ad(slice_path(name)))
    sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    scsemst.pp.gene_semantics(adata)
    return adata


@cache
def read(name: str):
    """Log-normalised variable genes, averaging operator, gene names in capitals, gene vectors."""
    adata = load(name)
    expression = read_expression(adata, layer=None, n_top_genes=3000, likelihood="zinb")
    names = [str(gene).upper() for gene in adata.var_names[expression.genes]]
    return expression, averaging_operator(spatial_graph(adata)), names, adata.varm["X_gene_semantics"][expression.genes]


@cache
def model(name: str, seed: int) -> scsemst.SemST:
    folder = MODELS / f"{name}_{seed}"
    if not (folder / "config.json").exists():
        adata = load(name).copy()
        made = scsemst.SemST.from_adata(adata, SLICES[name].n_domains, rng=seed, progress=False)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "labels.npy", adata.obs["semst"].cat.codes.to_numpy())
        made.save(folder)
    return scsemst.SemST.load(folder)


def own_labels(name: str, seed: int) -> np.ndarray:
    model(name, seed)
    return np.load(MODELS / f"{name}_{seed}" / "labels.npy")


@cache
def annotation(name: str) -> np.ndarray:
    """The only place where an annotation is read."""
    return ad.read_h5ad(slice_path(name), backed="r").obs["ground_truth"].astype(object).to_numpy()


def ari(name: str, labels: np.ndarray) -> float:
    truth = annotation(name)
    known = np.array([isinstance(value, str) for value in truth])
    return float(adjusted_rand_score(truth[known], np.asarray(labels)[known]))


def predicted(source: str, target: str, seed: int, through: str) -> tuple[float, dict]:
    done = scsemst.tl.predict(load(target), model(source, seed), through=through, min_share=0.1, copy=True)
    report = {k: v for k, v in done.uns["semst"].items() if k.startswith(("n_genes", "share"))}
    return ari(target, done.obs["semst"].to_numpy()), report


def by_genes(source: str, target: str) -> dict:
    runs = [predicted(source, target, seed, "genes") for seed in range(N_SEEDS)]
    own = [ari(target, own_labels(target, seed)) for seed in range(N_SEEDS)]
    return {
        "source": source,
        "target": target,
        "ari": [score for score, _ in runs],
        "ari_trained_on_it": own,
        **runs[0][1],
    }


def across(source: str, target: str, *, named: bool) -> dict:
    """Real gene vectors and shuffled ones: the same vectors, dealt to the genes of both panels at random."""
    panels = {name: read(name) for name in (source, target)}
    vectors: dict[str, np.ndarray] = {}
    for _, _, names, own in panels.values():
        for gene, vector in zip(names, own, strict=True):
            vectors.setdefault(gene, vector)  # a gene that both have has one vector, that of the source
    genes = sorted(vectors)
    table = np.array([vectors[gene] for gene in genes])
    rows = {name: np.searchsorted(genes, panels[name][2]) for name in panels}
    labels = [own_labels(source, seed) for seed in range(N_SEEDS)]

    def scores(order: np.ndarray) -> list[float]:
        z = {}
        for name, (expression, average, _, _) in panels.items():
            z[name] = spot_vectors(project(expression, table[order][rows[name]], None), average)
        return [
            ari(target, fit_transfer(z[source], own, SLICES[source].n_domains)(z[target]).argmax(1)) for own in labels
        ]

    identity = np.arange(len(genes))
    shuffles = [np.random.default_rng(i).permutation(len(genes)) for i in range(N_SHUFFLES)]
    return {
        "source": source,
        "target": target,
        "named_beforehand": named,
        "n_genes": [len(panels[name][2]) for name in (source, target)],
        "n_shared": len(set(panels[source][2]) & set(panels[target][2])),
        "ari_predict": [predicted(source, target, seed, "semantics")[0] for seed in range(N_SEEDS)],
        "ari_real": scores(identity),
        "ari_shuffled": [scores(order) for order in tqdm(shuffles, desc=f"{source} → {target}", leave=False)],
        "ari_trained_on_target": [ari(target, own_labels(target, seed)) for seed in range(N_SEEDS)],
    }


def draw(pair: dict, rng: np.random.Generator) -> float:
    """Real − shuffled with seeds and shuffles drawn anew."""
    real, shuffled = np.array(pair["ari_real"]), np.array(pair["ari_shuffled"])
    seeds = rng.integers(len(real), size=len(real))
    return real[seeds].mean() - shuffled[rng.integers(len(shuffled), size=len(shuffled))][:, seeds].mean()


def interval(pairs: list[dict], *, draw_pairs: bool) -> dict:
    """Mean of real − shuffled over pairs, and its 95 % interval."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(N_BOOT):
        chosen = rng.integers(len(pairs), size=len(pairs)) if draw_pairs else range(len(pairs))
        means.append(np.mean([draw(pairs[i], rng) for i in chosen]))
    low, high = np.quantile(means, [0.025, 0.975])
    return {
        "mean": float(np.mean([difference(p) for p in pairs])),
        "low": float(low),
        "high": float(high),
        "n": len(pairs),
    }


def difference(pair: dict) -> float:
    return float(np.mean(pair["ari_real"]) - np.mean(pair["ari_shuffled"]))


def summarise(results: dict) -> None:
    pairs = results["by_semantics"]
    for pair in pairs:
        pair["difference"] = interval([pair], draw_pairs=False)
        below = np.array(pair["ari_shuffled"]).mean(axis=1) < np.mean(pair["ari_real"])
        pair["shuffles_below_real"] = float(below.mean())
    groups = {
        "named": [p for p in pairs if p["named_beforehand"]],
        "extra": [p for p in pairs if not p["named_beforehand"]],
    }
    groups["all"] = pairs
    results["real_minus_shuffled"] = {
        name: {"over_pairs": interval(group, draw_pairs=True), "these_pairs": interval(group, draw_pairs=False)}
        for name, group in groups.items()
        if group
    }


def write(results: dict) -> None:
    OUTPUT.write_text(json.dumps(results, indent=1) + "\n")


def show(results: dict) -> None:
    def cell(values: list[float]) -> str:
        return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"

    print("\nBy genes, ARI (mean ± sd over seeds)\n")
    print("| trained on | predicted | genes found | ARI | trained on it |\n| --- | --- | --- | --- | --- |")
    for p in results["by_genes"]:
        found = f"{p['n_genes_found']} of {p['n_genes']}"
        print(
            f"| {title(p['source'])} | {title(p['target'])} | {found} | {cell(p['ari'])} | {cell(p['ari_trained_on_it'])} |"
        )
    print(
        "\nBy meaning, ARI (mean ± sd over seeds; shuffled: over shuffles, of means over seeds); * named beforehand\n"
    )
    print(
        "| trained on | predicted | shared genes | tl.predict | real | shuffled | real − shuffled [95 %] | shuffles below |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for p in results["by_semantics"]:
        star, d = "*" if p["named_beforehand"] else "", p["difference"]
        shuffled = cell(list(np.mean(p["ari_shuffled"], axis=1)))
        print(
            f"| {title(p['source'])}{star} | {title(p['target'])} | {p['n_shared']} | {cell(p['ari_predict'])} | "
            f"{cell(p['ari_real'])} | {shuffled} | {d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}] | "
            f"{p['shuffles_below_real']:.0%} |"
        )
    for name, group in results["real_minus_shuffled"].items():
        for how, d in group.items():
            print(f"{name}, {how}: {d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}] (n = {d['n']} pairs)")


def title(name: str) -> str:
    return SLICES[name].title


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    logging.getLogger("scsemst").setLevel(logging.ERROR)
    results: dict = {
        "n_seeds": N_SEEDS,
        "n_shuffles": N_SHUFFLES,
        "versions": None,
        "by_genes": [],
        "by_semantics": [],
    }
    pairs = [(pair, True) for pair in NAMED] + [(pair, False) for pair in EXTRA]
    for (source, target), named in tqdm(pairs, desc="by meaning"):
        results["by_semantics"].append(across(source, target, named=named))
        results["versions"] = model(source, 0).record["versions"]
        write(results)
    for source, target in tqdm(BY_GENES, desc="by genes"):
        results["by_genes"].append(by_genes(source, target))
        write(results)
    summarise(results)
    write(results)
    show(results)


if __name__ == "__main__":
    main()
