"""Means that weigh studies alike, and intervals of paired differences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .slices import SLICES


def per_slice(runs: pd.DataFrame, metric: str = "ari") -> pd.DataFrame:
    """Return mean, sd over seeds (n - 1) and n of each method on each slice."""
    groups = runs.dropna(subset=[metric]).groupby(["method", "slice"])[metric]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def overall(runs: pd.DataFrame, metric: str = "ari") -> pd.DataFrame:
    """Return each method's mean over seeds, then slices, then studies; and how many slices and runs it rests on."""
    table = per_slice(runs, metric)
    table = table[[SLICES[name].averaged for name in table["slice"]]]
    table = table.assign(study=[SLICES[name].study for name in table["slice"]])
    by_study = table.groupby(["method", "study"])["mean"].mean()
    counts = table.groupby("method").agg(slices=("slice", "nunique"), n=("n", "sum"), sd=("sd", "mean"))
    return counts.assign(mean=by_study.groupby("method").mean())


def paired(runs: pd.DataFrame, method: str, reference: str, metric: str = "ari") -> pd.DataFrame:
    """Return `method - reference` for every slice and seed that both have; a method without seeds pairs with all."""
    keys = ["slice", "seed"]
    a = runs[runs["method"] == method].set_index(keys)[metric]
    b = runs[runs["method"] == reference].set_index(keys)[metric]
    return (a - b).dropna().rename("difference").reset_index()


def interval(found: Mapping[str, float]) -> str:
    """Return what :func:`bootstrap` found, as tables have it."""
    mean, low, high = (f"{found[name]:+.3f}".replace("-", "−") for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def bootstrap(pairs: pd.DataFrame, *, n_boot: int = 10_000, level: float = 0.95, seed: int = 0) -> Mapping[str, float]:
    """Return mean and percentile interval of paired differences by a two-stage cluster bootstrap.

    Slices are drawn with replacement, then seeds within each drawn slice, so that many seeds on few slices do not
    pass for many independent observations. The mean weighs slices alike.
    """
    groups = [group["difference"].to_numpy() for _, group in pairs.groupby("slice")]
    if not groups:
        return {"mean": np.nan, "low": np.nan, "high": np.nan, "slices": 0, "n": 0}
    rng = np.random.default_rng(seed)
    # One row of means per slice: each draw of a slice takes a fresh draw of its seeds
    chosen = rng.integers(len(groups), size=(n_boot, len(groups)))
    means = np.empty(chosen.shape)
    for i, values in enumerate(groups):
        drawn = values[rng.integers(values.size, size=(int((chosen == i).sum()), values.size))]
        means[chosen == i] = drawn.mean(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means.mean(axis=1), [tail, 1 - tail])
    return {
        "mean": float(np.mean([values.mean() for values in groups])),
        "low": float(low),
        "high": float(high),
        "slices": len(groups),
        "n": len(pairs),
    }
