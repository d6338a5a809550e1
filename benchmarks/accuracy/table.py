"""The tables of `docs/benchmarks.md`, written between its markers; text outside them is kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from .methods import METHODS
from .score import CSV, METRICS
from .settings import SETTINGS
from .slices import ABLATION_SLICES, REPOSITORY, SLICES
from .stats import bootstrap, interval, overall, paired, per_slice

PAGE = REPOSITORY / "docs" / "benchmarks.md"
FIGURE = REPOSITORY / "docs" / "_static" / "accuracy.png"
DEFAULT = "semst"
CONTROLS = ("semst_no_semantics", "semst_shuffled", "semst_random")
TITLES = {
    "ari": "ARI",
    "nmi": "NMI",
    "homogeneity": "homogeneity",
    "completeness": "completeness",
    "chaos": "CHAOS ↓",
    "pas": "PAS ↓",
    "spatial_asw": "spatial ASW",
    "knn_purity": "kNN purity",
    "spatial_probe": "spatial probe",
}


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(mean: float, sd: float = np.nan, n: int | None = None) -> str:
    """Render mean ± sd (n); a minus sign that is one; a dash where there is nothing."""
    if np.isnan(mean):
        return "–"
    text = f"{mean:.3f}".replace("-", "−")
    text += "" if np.isnan(sd) else f" ± {sd:.3f}"
    return text if n is None else f"{text} ({n})"


def _rows(runs: pd.DataFrame) -> list[str]:
    return [name for name, method in METHODS.items() if method.group == "rows" and name in set(runs["method"])]


def table_overall(runs: pd.DataFrame) -> str:
    """Every score of every row; an incomplete row says on how many slices it rests."""
    n_slices = sum(s.averaged for s in SLICES.values())
    means = {metric: overall(runs, metric) for metric in METRICS}
    rows = []
    for method in sorted(_rows(runs), key=lambda name: -_complete(means["ari"], name, n_slices)):
        ari = means["ari"].loc[method]
        cells = [number(means[m].loc[method, "mean"]) if method in means[m].index else "–" for m in METRICS]
        seconds = runs.loc[runs["method"] == method, "cpu_seconds"].median()
        rows.append(
            [
                METHODS[method].title,
                *cells,
                number(ari["sd"]),
                f"{seconds:.0f}",
                f"{ari['slices']:.0f}",
                f"{ari['n']:.0f}",
            ]
        )
    header = ["", *(TITLES[metric] for metric in METRICS), "sd of ARI", "CPU s", f"slices of {n_slices}", "n"]
    return markdown(header, rows)


def _complete(means: pd.DataFrame, method: str, n_slices: int) -> float:
    """Sort rows that miss slices behind those that have all: their means are of something else."""
    return means.loc[method, "mean"] - (0 if means.loc[method, "slices"] == n_slices else 10)


def table_slices(runs: pd.DataFrame) -> str:
    """ARI on each slice: mean ± sd over seeds (n)."""
    table = per_slice(runs).set_index(["method", "slice"])
    methods = _rows(runs)
    rows = []
    for name, entry in SLICES.items():
        found = [table.loc[(m, name)] if (m, name) in table.index else None for m in methods]
        cells = ["–" if f is None else number(f["mean"], f["sd"], int(f["n"])) for f in found]
        rows.append([entry.title + ("" if entry.averaged else " (not averaged)"), *cells])
    return markdown(["", *(METHODS[name].title for name in methods)], rows)


def table_ablations(runs: pd.DataFrame) -> str:
    """The default minus each ablation, paired by slice and seed on the slices named beforehand."""
    runs = runs[runs["slice"].isin(ABLATION_SLICES)]
    names = [name for name, method in METHODS.items() if method.group == "ablations" and name in set(runs["method"])]
    return markdown(["default minus …", "ARI", "kNN purity", "spatial probe", "slices", "n"], _differences(runs, names))


def table_hard(runs: pd.DataFrame) -> str:
    """The default minus its controls where meaning should matter: few counts, few genes, few spots."""
    header = ["", "default minus …", "ARI", "kNN purity", "spatial probe", "slices", "n"]
    rows = []
    cases = [(setting, runs[(runs["setting"] == setting)]) for setting in SETTINGS if setting != "full"]
    cases.append(("HER2ST, full", runs[(runs["setting"] == "full") & runs["slice"].str.startswith("her2st")]))
    for title, some in cases:
        names = [name for name in CONTROLS if name in set(some["method"])]
        rows += [[title, *row] for row in _differences(some, names)]
    return markdown(header, rows)


def _differences(runs: pd.DataFrame, names: Iterable[str]) -> list[list[str]]:
    rows = []
    for name in names:
        results = [bootstrap(paired(runs, DEFAULT, name, metric)) for metric in ("ari", "knn_purity", "spatial_probe")]
        if results[0]["n"]:
            rows.append([METHODS[name].title, *map(interval, results), str(results[0]["slices"]), str(results[0]["n"])])
    return rows


def table_notes(runs: pd.DataFrame, failed: pd.DataFrame) -> str:
    """How each row was run, and why it is not there or not whole."""
    lines = []
    for name, method in METHODS.items():
        if method.group != "rows":
            continue
        some = runs[(runs["method"] == name) & (runs["setting"] == "full")]
        text = f"- **{method.title}**" + (f": {method.note}." if method.note else ".")
        missed = some[some["n_found"] != some["n_domains"]]
        if len(missed):
            text += f" K was missed in {len(missed)} of {len(some)} runs."
        problems = failed[(failed["method"] == name) & (failed["setting"] == "full")]
        for reason, group in problems.groupby("reason"):
            text += f" Failed on {', '.join(sorted(set(group['slice'])))}: {reason}."
        if some.empty and problems.empty:
            text += " Not run yet."
        lines.append(text)
    return "\n".join(lines)


def fill(page: str, tables: dict[str, str]) -> str:
    """Replace what stands between `<!-- accuracy:NAME -->` and `<!-- /accuracy:NAME -->`."""
    for name, text in tables.items():
        start, end = f"<!-- accuracy:{name} -->", f"<!-- /accuracy:{name} -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise ValueError(f"The page needs {start} and {end}, once each.")
        head, rest = page.split(start)
        tail = rest.split(end)[1]
        page = f"{head}{start}\n\n{text}\n\n{end}{tail}"
    return page


def write(csv: Path = CSV, page: Path = PAGE, figure: Path = FIGURE) -> None:
    """Write tables and figure from the scores; reads neither runs nor annotations."""
    from .plots import strip

    runs = pd.read_csv(csv)
    failed = pd.read_csv(csv.with_name(csv.stem + "_failed.csv"))
    full = runs[runs["setting"] == "full"]
    tables = {
        "overall": table_overall(full),
        "slices": table_slices(full),
        "notes": table_notes(runs, failed),
        "ablations": table_ablations(full),
        "hard": table_hard(runs),
    }
    nothing = "Not run yet."
    tables = {name: text if text.count("\n") > 1 or name == "notes" else nothing for name, text in tables.items()}
    page.write_text(fill(page.read_text(), tables))
    strip(full[full["method"].isin(_rows(full))], figure)
    print(f"wrote {page} and {figure}")
