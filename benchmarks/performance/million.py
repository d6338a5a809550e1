"""Does a million spots fit?

1,000,000 spots × 300 genes, tiled from DLPFC 151673, from counts to domains with semantics. Prints minutes and the
peak of each step, and of the whole process, imports included.

Write `benchmarks/results/performance/million.json`. Options of `tl.semst` follow as `name=value`:

    python -m benchmarks.performance.million [--spots 1000000] [--access lazy] -- batch_size=8192
"""

from __future__ import annotations

import argparse

from .measure import setting, write
from .pipeline import add_arguments, parse_options, run_pipeline
from .report import print_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, default=1_000_000)
    parser.add_argument("--name", default="million", help="of the JSON file")
    add_arguments(parser)
    args = parser.parse_args()
    options = parse_options(args.options)
    row = run_pipeline(
        args.spots,
        n_genes=args.genes,
        options=options,
        access=args.access,
        n_init=args.n_init,
        threads=args.threads,
        limit=args.limit,
        keep=args.keep,
    )
    described = setting(threads=args.threads, options=options, access=args.access, n_init=args.n_init)
    record = {"setting": described, "rows": [row]}
    write(args.name, record)
    print_table("million", record)


if __name__ == "__main__":
    main()
