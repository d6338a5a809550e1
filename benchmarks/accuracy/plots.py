"""The strip of the docs: every run's ARI, by study and method."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from .methods import METHODS
from .slices import SLICES

matplotlib.use("Agg")

import matplotlib.pyplot as plt


def strip(runs: pd.DataFrame, path: Path, metric: str = "ari", label: str = "ARI") -> None:
    """Draw one panel per study and one line per method: a dot for each run, a bar for the mean over slices."""
    studies = list(dict.fromkeys(s.study for s in SLICES.values()))
    runs = runs.assign(study=[SLICES[name].study for name in runs["slice"]])
    runs = runs[[SLICES[name].averaged for name in runs["slice"]]].dropna(subset=[metric])
    methods = [name for name in METHODS if name in set(runs["method"])]
    slices = list(SLICES)
    figure, axes = plt.subplots(
        2, -(-len(studies) // 2), figsize=(12, 0.45 * len(methods) + 2), sharey=True, squeeze=False
    )
    colors = plt.get_cmap("Dark2").colors
    for ax, study in zip(axes.flat, studies, strict=False):
        names = [name for name in slices if SLICES[name].study == study and SLICES[name].averaged]
        for y, method in enumerate(methods):
            found = runs[(runs["method"] == method) & (runs["study"] == study)]
            for i, name in enumerate(names):
                values = found.loc[found["slice"] == name, metric].to_numpy()
                offset = 0.5 * (i - (len(names) - 1) / 2) / max(len(names), 1)
                ax.scatter(values, np.full(values.size, y + offset), s=9, alpha=0.7, color=colors[i], linewidths=0)
            if len(found):
                mean = found.groupby("slice")[metric].mean().mean()
                ax.plot([mean, mean], [y - 0.4, y + 0.4], color="black", lw=1.2)
        ax.set_title(study, fontsize=9)
        ax.set_yticks(range(len(methods)), [METHODS[name].title for name in methods], fontsize=8)
        ax.tick_params(axis="x", labelsize=8)
        ax.grid(axis="x", lw=0.4, alpha=0.6)
        ax.set_xlabel(label, fontsize=8)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    for ax in list(axes.flat)[len(studies) :]:
        ax.axis("off")
    axes[0, 0].invert_yaxis()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
