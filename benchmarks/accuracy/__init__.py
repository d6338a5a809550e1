"""Domains without labels: SemST beside a baseline, its peers and its own ablations. See README.md in `benchmarks`."""
