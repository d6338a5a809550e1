"""The tables of `docs/performance.md`, from the JSON that the scripts wrote.

    python -m benchmarks.performance.report

Text outside the page's markers is kept; what was not measured stays empty.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .measure import REPOSITORY, RESULTS

PAGE = REPOSITORY / "docs" / "performance.md"
METHODS = {
    "scsemst": "scsemst",
    "pyg_edge_index": "GCNConv, edge_index",
    "pyg_csr": "GCNConv, CSR",
}
STEPS = ("read", "graph", "semantics", "fit", "domains")


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Render a table, the first column to the left."""
    header = list(header)
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    """Render with so many significant digits, thousands apart; a dash where there is nothing."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 3)}f}"


def ratio(value: float | None, reference: float | None) -> str:
    """Render how many times the reference a value is."""
    return "–" if not value or not reference else f"{number(value / reference)} ×"


def slope(xs: Iterable[float], ys: Iterable[float]) -> float | None:
    """Return the slope of the line through logarithms, by least squares; `None` for less than two points."""
    points = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True) if y and y > 0]
    if len(points) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    variance = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / variance if variance else None


def table_fit(record: dict[str, Any]) -> str:
    rows = record["rows"]
    reference = rows.get("naive", {})
    keys = ("seconds", "cpu_seconds", "above_mib")
    return markdown(
        ["", "epochs", "seconds", "CPU s", "peak above baseline, MiB", "times faster", "by CPU", "share of memory"],
        [
            [
                f"`{name}`" if "." in name else name,
                str(row.get("epochs", "–")),
                *(number(row.get(key)) if "error" not in row else row["error"] for key in keys),
                ratio(reference.get("seconds"), row.get("seconds")),
                ratio(reference.get("cpu_seconds"), row.get("cpu_seconds")),
                _share(row.get("above_mib"), reference.get("above_mib")),
            ]
            for name, row in rows.items()
        ],
    )


def table_profile(record: dict[str, Any]) -> str:
    profile = record.get("profile") or {}
    total = profile.get("profiled_seconds")
    return markdown(
        ["function", "calls", "CPU s", "of its own", "share"],
        [
            [
                f"`{row['function']}`",
                str(row["calls"]),
                number(row["seconds"]),
                number(row["own_seconds"]),
                _share(row["seconds"], total),
            ]
            for row in profile.get("profile", [])[:30]
        ],
    )


def table_propagation(record: dict[str, Any]) -> str:
    cases: dict[tuple[bool, int, int], dict[str, dict[str, Any]]] = {}
    for row in record["rows"]:
        cases.setdefault((row["first_layer"], row["channels"], row["nodes"]), {})[row["method"]] = row
    lines = []
    for (first_layer, channels, nodes), found in sorted(cases.items()):
        ours = found.get("scsemst", {})
        for method, row in found.items():
            lines.append(
                [
                    f"{record['setting']['genes']} genes → {channels}" if first_layer else f"{channels} → {channels}",
                    f"{nodes:,}",
                    METHODS[method],
                    number(row.get("forward_ms")) if "error" not in row else row["error"],
                    number(row.get("backward_ms")),
                    number(row.get("ms")),
                    number(row.get("above_mib")),
                    ratio(row.get("ms"), ours.get("ms")),
                ]
            )
    header = ["layer", "nodes", "", "forward, ms", "backward, ms", "both, ms", "peak above baseline, MiB", "of ours"]
    return markdown(header, lines)


def table_scaling(record: dict[str, Any]) -> str:
    rows = [row for row in record["rows"] if "error" not in row]
    names = [name for name in STEPS if any(name in row["steps"] for row in rows)]

    def seconds(row: dict[str, Any], name: str) -> float | None:
        return row["steps"].get(name, {}).get("seconds")

    lines = [
        [
            f"{row['spots']:,}",
            *(number(seconds(row, name)) for name in names),
            number(row["seconds"]),
            number(row["cpu_seconds"]),
            number(row["above_mib"]),
        ]
        for row in rows
    ]
    lines += [[f"{row['spots']:,}", row["error"], *[""] * (len(names) + 2)] for row in record["rows"] if "error" in row]
    spots = [row["spots"] for row in rows]
    columns = [[seconds(row, name) for row in rows] for name in names]
    columns += [[row[key] for row in rows] for key in ("seconds", "cpu_seconds", "above_mib")]
    lines.append(["slope", *(number(slope(spots, column)) for column in columns)])
    return markdown(["spots", *(f"{name}, s" for name in names), "all, s", "CPU s", "peak above baseline, MiB"], lines)


def table_million(record: dict[str, Any]) -> str:
    lines = []
    for row in record["rows"]:
        if "error" in row:
            return f"{row['spots']:,} spots: {row['error']}"
        for name, found in [*row["steps"].items(), ("all", row)]:
            seconds, cpu, peak = (found[key] for key in ("seconds", "cpu_seconds", "peak_mib"))
            lines.append([name, number(seconds / 60), number(cpu / 60), number(peak / 1024)])
        header = [
            f"{row['spots']:,} spots × {row['genes']} genes",
            "minutes",
            "CPU minutes",
            "peak of the process, GiB",
        ]
    return markdown(header, lines)


def table_peers(record: dict[str, Any]) -> str:
    ours = record["rows"].get("scsemst", {})
    return markdown(
        ["", "epochs", "seconds", "CPU s", "peak above baseline, MiB", "seconds of ours", "CPU of ours"],
        [
            [
                name,
                str(row.get("epochs", "")),
                number(row.get("seconds")) if "error" not in row else row["error"],
                number(row.get("cpu_seconds")),
                number(row.get("above_mib")),
                ratio(row.get("seconds"), ours.get("seconds")),
                ratio(row.get("cpu_seconds"), ours.get("cpu_seconds")),
            ]
            for name, row in record["rows"].items()
        ],
    )


GPU_CASES = {
    "slice": "DLPFC 151673 to domains",
    "latent": "DLPFC 151673, latent space",
    "paper": 'the same, `preset="paper"`',
    "bf16": 'the same, `precision="bf16"`',
    "prompts": "its prompts through MiniLM",
    "tissue": "tiled, latent space",
}


def table_gpu(record: dict[str, Any]) -> str:
    cases: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in record["rows"]:
        cases.setdefault((row["case"], row["n_spots"]), {})[row["device"]] = row
    lines = []
    for (case, n_spots), found in cases.items():
        gpu, cpu = (found.get(device, {}) for device in ("cuda", "cpu"))
        lines.append(
            [
                GPU_CASES[case],
                f"{n_spots:,}",
                number(gpu.get("seconds")),
                number(cpu.get("seconds")),
                ratio(cpu.get("seconds"), gpu.get("seconds")),
                number(gpu.get("gpu_mib")),
            ]
        )
    return markdown(
        ["", "spots", "GPU, s", f"its {record['setting']['cores']} cores, s", "times faster", "peak of the GPU, MiB"],
        lines,
    )


def table_gpu_batches(record: dict[str, Any]) -> str:
    lines = [
        [
            {"kept": "stay on the GPU", "rebuilt": "built for each step"}[row["case"]],
            f"{row['n_spots']:,}",
            number(row["seconds"]),
            number(row["gpu_mib"]),
        ]
        for row in record["rows"]
    ]
    return markdown([f"batches of {record['rows'][0]['batch_size']:,}", "spots", "s", "peak of the GPU, MiB"], lines)


def _share(value: float | None, total: float | None) -> str:
    return "–" if value is None or not total else f"{value / total:.0%}"


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "fit": table_fit,
    "profile": table_profile,
    "propagation": table_propagation,
    "scaling": table_scaling,
    "million": table_million,
    "peers": table_peers,
    "gpu": table_gpu,
    "gpu_batches": table_gpu_batches,
}
SOURCES = {"profile": "fit"}


def caption(record: dict[str, Any]) -> str:
    """Say where a table was measured."""
    s = record["setting"]
    options = ", ".join(f"{name}={value!r}" for name, value in s.get("options", {}).items())
    loads = [load for row in _rows(record) for load in row.get("load", [])]
    gpu = f"{s['gpu']}, " if "gpu" in s else ""
    load = f", load {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    return (
        f"*{s['date']}, commit {s['commit']}, {gpu}{s['threads']} threads of {s['cores']} cores ({s['machine']}), "
        f"{s['memory_gib']:g} GiB{load}, torch {s['versions'].get('torch', '–')}"
        + (f"; `{options}`" if options else "")
        + ".*"
    )


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = record["rows"]
    return list(rows.values()) if isinstance(rows, dict) else rows


def fill(page: str, tables: dict[str, str]) -> str:
    """Put each table between its markers."""
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- performance:{name} -->\n).*?(<!-- /performance:{name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"The page has no <!-- performance:{name} --> … <!-- /performance:{name} -->.")
        page = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", page)
    return page


def print_table(name: str, record: dict[str, Any]) -> None:
    """Print a table that was just measured, and where."""
    print(f"\n{TABLES[name](record)}\n\n{caption(record)}")
    if name == "fit" and record.get("profile"):
        print(f"\n{table_profile(record)}")


def main(folder: Path = RESULTS, page: Path = PAGE) -> None:
    tables = {}
    for name, make in TABLES.items():
        path = folder / f"{SOURCES.get(name, name)}.json"
        if path.exists():
            record = json.loads(path.read_text())
            tables[name] = f"\n{make(record)}\n\n{caption(record)}\n"
    page.write_text(fill(page.read_text(), tables))


if __name__ == "__main__":
    main()
