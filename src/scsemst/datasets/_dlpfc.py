"""A slice of human cortex that ships with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData


def dlpfc() -> AnnData:
    """Human dorsolateral prefrontal cortex, one 10x Visium slice with annotated layers.

    Section 151673 of :cite:t:`Maynard_2021`, cropped to 2929 spots as distributed with `paste2` :cite:p:`Liu_2023`
    and reduced to its 3000 most variable genes. The file is part of the package: nothing is downloaded. Each call
    returns a new object.

    Returns
    -------
    Annotated data, spots × genes, with

    `adata.X`
        Raw counts, CSR, float32, shape `(2929, 3000)`; `var_names` are gene symbols.
    `adata.obs["ground_truth"]`
        Layer of each spot by expert annotation: `Layer1` to `Layer6` and `WM`, the white matter.
        Scores may read it, methods must not.
    `adata.obs["array_row"]`, `adata.obs["array_col"]`
        Position of the spot on the Visium grid.
    `adata.obsm["spatial"]`
        Position of the spot in pixels of the full-resolution image, shape `(2929, 2)`.
    `adata.uns["source"]`
        Where the data come from.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> adata.shape
    (2929, 3000)
    >>> adata.obs["ground_truth"].cat.categories.size
    7
    """
    from anndata import read_h5ad

    with as_file(files("scsemst.datasets") / "_data" / "dlpfc_151673_crop.h5ad") as path:
        return read_h5ad(path)
