"""How do time and memory grow with spots?

DLPFC 151673 tiled with counts drawn anew, 300 genes (`data.tile`), from counts to domains. Each size in a fresh
process. The slope is that of a line through log seconds, or log peak memory above the baseline, over log spots: 1 is linear.

Write `benchmarks/results/performance/scaling.json` and print a table. Options of `tl.semst` follow as `name=value`:

    python -m benchmarks.performance.scaling --spots 50000 100000 200000 400000 -- epochs=5 batch_size=8192
"""

from __future__ import annotations

import argparse

from .measure import setting, write
from .pipeline import add_arguments, parse_options, run_pipeline
from .report import print_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="+", default=[50_000, 100_000, 200_000, 400_000])
    parser.add_argument("--name", default="scaling", help="of the JSON file")
    add_arguments(parser)
    args = parser.parse_args()
    # As few as parts of the tissue are ever trained for: all sizes then train for as many
    options = {"epochs": 3, **parse_options(args.options)}
    rows = []
    for n_spots in args.spots:
        rows.append(
            run_pipeline(
                n_spots,
                n_genes=args.genes,
                options=options,
                access=args.access,
                n_init=args.n_init,
                threads=args.threads,
                limit=args.limit,
                keep=args.keep,
            )
        )
        print(rows[-1], flush=True)
        described = setting(threads=args.threads, options=options, access=args.access, n_init=args.n_init)
        record = {"setting": described, "rows": rows}
        write(args.name, record)
        if "error" in rows[-1]:
            break
    print_table("scaling", record)


if __name__ == "__main__":
    main()
