"""An unseen slice through a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scsemst import _keys
from scsemst._checks import require_in, require_new_key, require_positive
from scsemst._results import clear_results, require_apart, require_unused
from scsemst._table import get_table

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from scsemst._model import SemST


def predict(
    adata: AnnData | SpatialData,
    model: SemST,
    *,
    layer: str | None = None,
    neighbors_key: str = _keys.SPATIAL_CONNECTIVITIES,
    through: Literal["auto", "genes", "semantics"] = "auto",
    min_share: float = 0.3,
    device: str = "auto",
    progress: bool = True,
    key_added: str = _keys.SEMST,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Embed and label an unseen slice with a trained model; nothing is trained.

    Through genes, the slice is read as the training slice was: genes are found by name, counts are normalised to the
    same scale, graphs are built, and latent space and domains come from the network and the mixtures of training. A
    missing gene is taken to have its mean in training in every spot.

    A model of several slices (`batch_key=`) reads slices that it knows, by their names in the same column of `adata.obs`,
    as in training. Any other, and an object without that column, is centred: its own mean expression is taken away, as
    training takes each slice's, which supposes that it consists of about what those do.

    Through semantics, a slice of another gene panel, technology or species is labelled by what its genes mean:
    expression, centred per gene, times gene vectors, averaged three times over the spatial graph; a shrunken linear
    discriminant tells the model's own domains apart in that space. This is a coarse guide, far less
    accurate than training on the slice: see the documentation's benchmarks.

    Parameters
    ----------
    adata
        Annotated data matrix of the new slice, spots × genes.
    model
        Trained model, see :class:`scsemst.SemST`.
    layer
        Layer with the raw counts, `X` by default.
    neighbors_key
        Key in `obsp` of squidpy's spatial graph.
    through
        `"genes"`, `"semantics"`, or `"auto"`: genes if the slice has at least `min_share` of the model's, semantics if
        not.
    min_share
        Least share of the model's genes that the slice must have to go through genes.
    device
        `"auto"` (a GPU if there is one), or a torch device such as `"cpu"` or `"cuda:0"`.
    progress
        Show a progress bar if embedding takes more than two seconds.
    key_added
        Key to write to.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Return a copy instead of writing to `adata`.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.obsm["X_" + key_added]` : :class:`numpy.ndarray`
        Latent space, float32, shape `(n_obs, n_latent)`, with the axes of the training slice. Through semantics, the
        spots' vectors in the space of gene meaning.
    `adata.obs[key_added]` : :class:`pandas.Categorical`
        Domain of each spot, by the name that it has in the training slice. All domains of the model are categories,
        also those that the slice does not have. Not set if the model has no domains.
    `adata.obs[key_added + "_probability"]` : :class:`pandas.Series`
        Probability of that domain under the model.
    `adata.uns[key_added]` : :class:`dict`
        `"params"`, the way that was taken (`"through"`), numbers of genes (`"n_genes"`, `"n_genes_found"`, and through
        genes `"n_genes_missing"` and `"share_of_genes"`), and the record of the `"model"`.

    Raises
    ------
    KeyError
        If the spatial graph, the layer, or semantics that the model needs are missing.
    ValueError
        If too few of the model's genes are there, semantics are of another kind or dimension than in training, or
        expression values are not what the model reads.

    Examples
    --------
    >>> import scsemst
    >>> import squidpy as sq
    >>> adata = scsemst.datasets.dlpfc()[:600].copy()
    >>> sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    >>> scsemst.pp.gene_semantics(adata)
    >>> model = scsemst.SemST.from_adata(adata, n_domains=4, epochs=3)
    >>> scsemst.tl.predict(adata, model, key_added="predicted")
    >>> float((adata.obs["predicted"] == adata.obs["semst"]).mean()) > 0.99
    True
    """
    from scsemst._model import SemST

    adata = get_table(adata, table_key, copy=copy)
    if not isinstance(model, SemST):
        raise TypeError(
            f"model must be a scsemst.SemST, found {type(model).__name__}. Use scsemst.SemST.load(folder) or "
            "scsemst.SemST.from_adata(adata)."
        )
    require_in(through, ("auto", "genes", "semantics"), name="through")
    require_new_key(key_added, name="key_added")
    trained = model.record.get("params", {})
    require_apart(key_added, trained.get("semantics_key"))
    require_unused(adata, key_added, batch_key=trained.get("batch_key"))
    if require_positive(min_share, name="min_share") > 1:
        raise ValueError(f"min_share must be above 0 and at most 1, found {min_share}.")

    import pandas as pd

    from scsemst._device import resolve_device
    from scsemst.reuse.predict import predict_slice

    result = predict_slice(
        adata,
        model._parts,
        layer=layer,
        neighbors_key=neighbors_key,
        through=through,
        min_share=min_share,
        device=resolve_device(device),
        progress=progress,
    )
    params = {"layer": layer, "neighbors_key": neighbors_key, "through": through, "min_share": min_share}
    adata = adata.copy() if copy else adata
    adata.obsm[_keys.embedding(key_added)] = result.latent
    clear_results(adata, key_added)
    if result.labels is not None:
        names = pd.Index([str(i) for i in range(model.n_domains or 0)], dtype=object)
        adata.obs[key_added] = pd.Categorical.from_codes(result.labels, categories=names)
        adata.obs[_keys.probability(key_added)] = result.probability
    adata.uns[key_added] = {
        "params": {name: value for name, value in params.items() if value is not None},
        **result.report,
        "model": model.record,
    }
    return adata if copy else None
