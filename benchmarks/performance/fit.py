"""How fast is a whole fit, against the same model written naively, and where does its time go?

On DLPFC 151673, 3000 variable genes, semantics included on both sides, each case in a fresh process, after import:

- `tl.semst` with its default settings, its latent space only; how many epochs it took is how many the others get
- `tl.semst(preset="paper")`, the same mathematics as the naive implementation
- `naive.py`, from the same raw counts, graph and semantic vectors
- `tl.semst(n_domains=7)` as a user calls it, up to its stopping point, clustering included
- the same under a profiler: processor seconds by function

Write `benchmarks/results/performance/fit.json` and print a table:

    python -m benchmarks.performance.fit [--epochs N] [--threads 2] [--repeats 1]
"""

from __future__ import annotations

import argparse
from typing import Any

from .data import N_DOMAINS, prepared
from .measure import measure, setting, write
from .report import print_table

KEY = "X_gene_semantics"


def ours(preset: str = "default", epochs: int | None = None, n_domains: int | None = None, **options: Any):
    """Case: `tl.semst`."""
    import scsemst

    adata = prepared()
    scsemst.tl.semst(adata[:300].copy(), n_domains and 3, preset=preset, epochs=1, progress=False)  # imports all

    def run() -> dict[str, Any]:
        scsemst.tl.semst(adata, n_domains, preset=preset, epochs=epochs, progress=False, device="cpu", **options)
        record = adata.uns["semst"]
        return {"epochs": int(record["stopped_epoch"]), "converged": bool(record["converged"])}

    return run


def naive(epochs: int):
    """Case: the naive implementation."""
    from .naive import fit

    adata = prepared()
    fit(adata[:300].copy(), epochs=1, semantics_key=KEY)  # imports all

    def run() -> dict[str, Any]:
        losses = fit(adata, epochs=epochs, semantics_key=KEY)
        return {"epochs": len(losses), "first_loss": losses[0], "last_loss": losses[-1]}

    return run


def profile(n_domains: int):
    """Case: `tl.semst` under a profiler, which slows it down somewhat: shares are of interest."""
    import cProfile
    import pstats
    import time

    fit = ours(n_domains=n_domains)

    def run() -> dict[str, Any]:
        profiler = cProfile.Profile(time.process_time)  # of all threads: other processes do not show
        found = profiler.runcall(fit)
        stats = pstats.Stats(profiler)
        functions = [
            {"function": f"{where}:{name}", "calls": calls, "seconds": cumulative, "own_seconds": own}
            for (file, _, name), (_, calls, own, cumulative, _) in stats.stats.items()
            if (where := _place(file, name)) is not None and cumulative >= 0.01 * stats.total_tt
        ]
        functions.sort(key=lambda row: -row["seconds"])
        return {**found, "profile": functions, "profiled_seconds": stats.total_tt}

    return run


def _place(file: str, name: str) -> str | None:
    """Return where a function of ours, or one that does the work of the fit, was written."""
    if "scsemst" in file:
        return file.split("scsemst/")[-1]
    ours = {"backward", "run_backward", "step", "svds", "eigsh", "kneighbors_graph", "highly_variable_genes", "item"}
    if any(word in name for word in ours):
        return file.split("site-packages/")[-1].rsplit("/", 1)[-1] if file != "~" else "built-in"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--epochs", type=int, help="of all cases but the default; as many as the default took if absent"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="the fastest is kept")
    parser.add_argument("--only", nargs="+", help="names of rows")
    args = parser.parse_args()
    here = "benchmarks.performance.fit"

    def best(function: str, **arguments: Any) -> dict[str, Any]:
        runs = [measure(f"{here}:{function}", threads=args.threads, **arguments) for _ in range(args.repeats)]
        return min(runs, key=lambda run: run.get("seconds", float("inf")))

    rows = {"tl.semst": best("ours", epochs=args.epochs)}
    epochs = args.epochs or rows["tl.semst"]["epochs"]
    cases = {
        'tl.semst(preset="paper")': lambda: best("ours", preset="paper", epochs=epochs),
        "naive": lambda: best("naive", epochs=epochs),
        "tl.semst(n_domains=7)": lambda: best("ours", n_domains=N_DOMAINS),
        "profile": lambda: best("profile", n_domains=N_DOMAINS),
    }
    for name, case in cases.items():
        if args.only is None or name in args.only:
            rows[name] = case()
            print(name, {key: value for key, value in rows[name].items() if key != "profile"}, flush=True)
    profiled = rows.pop("profile", None)
    record = {"setting": setting(threads=args.threads, epochs=epochs), "rows": rows, "profile": profiled}
    write("fit", record)
    print_table("fit", record)


if __name__ == "__main__":
    main()
