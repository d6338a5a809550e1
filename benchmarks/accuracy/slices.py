"""The annotated slices: where they are, which study they belong to, and how a method gets to see them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"


@dataclass(frozen=True)
class Slice:
    file: str
    study: str
    n_domains: int
    """Number of annotated classes; the only thing about the annotation that a method is told."""
    title: str
    averaged: bool = True


SLICES = {
    "dlpfc_151673": Slice("dlpfc_151673", "DLPFC", 7, "DLPFC 151673"),
    "dlpfc_151674": Slice("dlpfc_151674", "DLPFC", 7, "DLPFC 151674"),
    "dlpfc_151510_500g": Slice("dlpfc_151510_500g", "DLPFC", 7, "DLPFC 151510, 500 genes"),
    "starmap_visual_cortex": Slice("starmap_visual_cortex_BY3_1k", "STARmap visual cortex", 7, "STARmap visual cortex"),
    "starmap_mpfc_BZ5": Slice("starmap_mpfc_BZ5", "STARmap mPFC", 4, "STARmap mPFC BZ5"),
    "starmap_mpfc_BZ9": Slice("starmap_mpfc_BZ9", "STARmap mPFC", 4, "STARmap mPFC BZ9"),
    "merfish_0.04": Slice("merfish_hypothalamus_bregma0.04", "MERFISH hypothalamus", 8, "MERFISH bregma 0.04"),
    "merfish_0.09": Slice("merfish_hypothalamus_bregma0.09", "MERFISH hypothalamus", 8, "MERFISH bregma 0.09"),
    "merfish_0.14": Slice("merfish_hypothalamus_bregma0.14", "MERFISH hypothalamus", 8, "MERFISH bregma 0.14"),
    "osmfish": Slice("osmfish_ssp", "osmFISH cortex", 11, "osmFISH cortex"),
    "baristaseq_slice1": Slice("baristaseq_slice1", "BaristaSeq cortex", 6, "BaristaSeq 1"),
    "baristaseq_slice2": Slice("baristaseq_slice2", "BaristaSeq cortex", 6, "BaristaSeq 2"),
    "her2st_B1": Slice("her2st_B1", "HER2ST", 4, "HER2ST B1"),
    "her2st_E1": Slice("her2st_E1", "HER2ST", 3, "HER2ST E1"),
    "her2st_G2": Slice("her2st_G2", "HER2ST", 6, "HER2ST G2"),
    "olfactory_bulb": Slice("st_mouse_olfactory_bulb_rep12", "Olfactory bulb", 4, "Olfactory bulb"),
    # A crop of 151673: shown, but counted once
    "demo": Slice("demo_dlpfc_151673_crop", "DLPFC", 7, "Demo, crop of 151673", averaged=False),
}

# Named before any result was seen
ABLATION_SLICES = (
    "dlpfc_151673",
    "dlpfc_151674",
    "merfish_0.04",
    "starmap_visual_cortex",
    "her2st_G2",
    "baristaseq_slice2",
)


def data_folder() -> Path:
    """Return the folder with the slices, which are not part of the repository."""
    return Path(os.environ.get("SCSEMST_BENCHMARK_DATA", REPOSITORY.parent / "shared" / "data"))


def slice_path(name: str) -> Path:
    return data_folder() / f"{SLICES[name].file}.h5ad"


def unlabelled(adata: ad.AnnData) -> ad.AnnData:
    """Return counts, gene names and coordinates, and nothing else: no column of obs can be an annotation then."""
    spots = pd.Index([str(i) for i in range(adata.n_obs)], dtype=object)
    genes = pd.Index(adata.var_names.astype(str), dtype=object)
    return ad.AnnData(
        sparse.csr_matrix(adata.X, dtype=np.float32),
        obs=pd.DataFrame(index=spots),
        var=pd.DataFrame(index=genes),
        obsm={"spatial": np.asarray(adata.obsm["spatial"], dtype=np.float64)},
    )


def export_unlabelled(name: str, folder: Path) -> Path:
    """Write what methods may see of a slice to a file of its own."""
    path = folder / f"{name}.h5ad"
    source = slice_path(name)
    if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        unlabelled(ad.read_h5ad(source)).write_h5ad(path)
    return path
