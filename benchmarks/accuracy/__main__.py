"""Run, score and tabulate: `python -m benchmarks.accuracy {run,score,table}`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

# Before numpy is imported: the cores are shared, and more threads than cores are slower than one
if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

from .methods import METHODS
from .settings import SETTINGS
from .slices import ABLATION_SLICES, SLICES


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="make the runs that are missing; reads no annotation")
    rows = [name for name, method in METHODS.items() if method.group == "rows"]
    run.add_argument("--only", nargs="+", metavar="METHOD", choices=METHODS, default=rows, help=", ".join(METHODS))
    run.add_argument(
        "--slices", nargs="+", metavar="SLICE", default=["all"], help="all, ablations, " + ", ".join(SLICES)
    )
    run.add_argument("--settings", nargs="+", choices=SETTINGS, default=["full"])
    run.add_argument("--seeds", type=int, default=5, help="number of seeds")
    run.add_argument("--limit", type=int, default=0, metavar="SECONDS", help="give up on a run after this long")
    run.add_argument("--retry", action="store_true", help="try again what failed")

    commands.add_parser("score", help="compare stored runs with the annotation, write benchmarks/results/accuracy.csv")
    commands.add_parser("table", help="write the tables and plots of docs/benchmarks.md")

    args = parser.parse_args(arguments)
    if args.command == "run":
        named = {"all": list(SLICES), "ablations": list(ABLATION_SLICES)}
        args.slices = [name for word in args.slices for name in named.get(word, [word])]
        if unknown := [name for name in args.slices if name not in SLICES]:
            parser.error(f"unknown slices: {', '.join(unknown)}")
    return args


def main() -> None:
    args = parse()
    if args.command == "run":
        from .run import grid, run

        run(grid(args.only, args.slices, args.settings, range(args.seeds)), limit=args.limit, retry=args.retry)
    elif args.command == "score":
        from .score import score

        score()
    else:
        from .table import write

        write()


if __name__ == "__main__":
    main()
