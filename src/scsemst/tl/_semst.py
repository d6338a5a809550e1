"""The SemST model on a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .. import _keys
from .._checks import require_new_key
from .._results import require_apart, require_unused
from .._table import get_table

if TYPE_CHECKING:
    from os import PathLike

    from anndata import AnnData
    from spatialdata import SpatialData

    from .._types import Seed


def semst(
    adata: AnnData | SpatialData,
    n_domains: int | Literal["auto"] | None = None,
    *,
    semantics_key: str | None = _keys.GENE_SEMANTICS,
    neighbors_key: str = _keys.SPATIAL_CONNECTIVITIES,
    batch_key: str | None = None,
    integrate: Literal["harmony"] | None = None,
    layer: str | None = None,
    n_top_genes: int = 3000,
    likelihood: Literal["zinb", "nb", "poisson", "gaussian"] = "zinb",
    preset: Literal["default", "paper"] = "default",
    n_latent: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    precision: Literal["float32", "bf16"] = "float32",
    store_modulation: bool = False,
    checkpoint_dir: str | PathLike[str] | None = None,
    checkpoint_minutes: float = 5,
    device: str = "auto",
    rng: Seed = 0,
    key_added: str = _keys.SEMST,
    progress: bool = True,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Find spatial domains from expression, spatial neighbourhood and the meaning of genes.

    Trains the SemST model (Long et al., 2025, "When Genes Speak", arXiv:2511.11380) on one slice: a graph network
    over the spatial graph (in the paper's preset another over the graph of spots with like expression), whose features
    are modulated by the spots' semantic vectors, and a decoder that explains the raw counts. The latent space is then
    clustered into `n_domains`. No annotation is read at any point. Time and memory are linear in spots.

    Parameters
    ----------
    adata
        Annotated data matrix of one slice, spots × genes.
    n_domains
        Number of domains; exactly as many are returned. `"auto"` chooses the number between 2 and 19 as
        :func:`scsemst.tl.n_domains` does, and keeps the scores of all, for :func:`scsemst.pl.n_domains`. Without it,
        only the latent space is computed: see :func:`scsemst.tl.domains` and :func:`scsemst.tl.leiden_domains`.
    semantics_key
        Key in `obsm` of the spots' semantic vectors, from :func:`scsemst.pp.gene_semantics` or
        :func:`scsemst.pp.spot_semantics`; `None` to train without semantics.
    neighbors_key
        Key in `obsp` of squidpy's spatial graph. For several slices, built with squidpy's `library_key`, so that no edge
        joins two of them; or in three dimensions, where the slices are a stack of sections.
    batch_key
        Key in `obs` of the slice (batch) of each spot, if there are several: domains are shared by all slices, and what
        tells slices apart is kept out of the latent space. Variable genes are chosen within slices among those that
        all slices express, training starts from components of expression that is centred slice by slice, and each
        slice has its own first bias in the encoder, and its own bias and dispersion of each gene in the decoder. That
        takes the slices to be alike in what they consist of: centring takes away what one tissue has more of.
    integrate
        `"harmony"` corrects the latent space further, with harmonypy (`pip install scsemst[harmony]`), before it is
        clustered.
    layer
        Layer with the raw counts, `X` by default.
    n_top_genes
        Number of highly variable genes to use; all expressed genes if there are no more.
    likelihood
        Distribution of the counts: zero-inflated negative binomial, negative binomial or Poisson, each with the spot's
        library size as an offset. `"gaussian"` is for data of which no counts exist: such data are normalised and
        log-transformed first if their values are too large for logarithms (above 25).
    preset
        `"default"`, or `"paper"` for the paper's architecture and settings; "How it works" in the documentation says how
        they differ.
    n_latent
        Size of the latent space, the preset's by default; at most that of the features it is made of (50, or 128 with
        `preset="paper"`, and below the number of genes).
    epochs
        Most epochs of training, the preset's by default; it stops earlier once the objective settles. If a slice is
        trained in several parts, this is divided by their number, but not below 3: about as many steps, then, as over
        the whole slice. `uns[key_added]["history"]` has the losses of those that were run.
    batch_size
        Most spots of a training step. By default all of them, unless a step would take more than about 3 GB (some
        200,000 spots); then parts of the tissue of 8,192 spots, with the surroundings that make their graph
        convolutions exact. The rule does not depend on the machine, so that results do not either. A device without
        the memory for it is given 8,192 spots, or half as many, and so on down to 256, with a warning; the size is
        recorded.
    precision
        `"bf16"`: dense layers compute in bfloat16 (:class:`torch.autocast`), everything else, likelihood and graph
        products among it, in float32.
    store_modulation
        Keep α and β of every spot and feature in `obsm`: two arrays of about 50 columns. They are not needed for
        :func:`scsemst.pl.modulation` and :func:`scsemst.tl.semantic_drivers`, which compute them from the weights in
        `uns`.
    checkpoint_dir
        Folder in which to keep how far training has come, with the state of the generator. After a crash, or Ctrl-C, the
        same call goes on from there, and gives on the CPU the same bits as a run that was never interrupted. A finished
        run removes what it kept.
    checkpoint_minutes
        Minutes between two writes; zero writes after every training step.
    device
        `"auto"` (a GPU if there is one), or a torch device such as `"cpu"` or `"cuda:0"`. Results repeat
        bit for bit on `"cpu"` with the same number of threads. `"mps"` trains on the CPU, with a warning: torch has no
        sparse products for Apple GPUs.
    rng
        Seed or generator. The global random state is neither read nor changed.
    key_added
        Key to write to.
    progress
        Show a progress bar.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Return a copy instead of writing to `adata`.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.obsm["X_" + key_added]` : :class:`numpy.ndarray`
        Latent space, float32, dimensions by decreasing variance, shape `(n_obs, n_latent)`.
    `adata.obs[key_added]` : :class:`pandas.Categorical`
        Domain of each spot: "0", "1", … by decreasing size; only with `n_domains`.
    `adata.uns[key_added]` : :class:`dict`
        `"params"`, `"n_spots"`, `"history"` (objective and terms per epoch), `"versions"`, provenance and hash of the `"semantics"`, the
        modulation's weights in `"fsm"`, with `batch_key` names and sizes of the `"batches"` and the share of the
        graph's edges between them, and with `n_domains="auto"` the number found in `"n_domains"`. With a
        generator as `rng`, `"params"` has its state before the run, as JSON.
    `adata.uns["n_domains"]` : :class:`dict`
        Scores of all numbers of domains, as :func:`scsemst.tl.n_domains` writes them; only with `n_domains="auto"`.
    `adata.obsm[key_added + "_alpha"]`, `adata.obsm[key_added + "_beta"]` : :class:`numpy.ndarray`
        Scaling and shift of the features of the graph network, float32, shape `(n_obs, n_features)`; only with
        `store_modulation=True`.

    Raises
    ------
    KeyError
        If the spatial graph, the semantics, the layer or `batch_key` are missing.
    ValueError
        If expression values are negative, NaN or, unless `likelihood="gaussian"`, no counts; if spots are empty or
        names repeat; if `n_domains` exceeds the number of spots; if there is one slice only, a slice of a single spot, a
        spot without a slice, or no gene that all slices express; or if `checkpoint_dir` holds a run with other data or
        settings.

    References
    ----------
    Korsunsky et al. (2019), Fast, sensitive and accurate integration of single-cell data with Harmony. Nature Methods 16,
    1289–1296.

    Examples
    --------
    >>> import scsemst
    >>> import squidpy as sq
    >>> adata = scsemst.datasets.dlpfc()[:600].copy()
    >>> sq.gr.spatial_neighbors_knn(adata, n_neighs=6)
    >>> scsemst.pp.gene_semantics(adata)
    >>> scsemst.tl.semst(adata, n_domains=4, epochs=3)
    >>> adata.obs["semst"].cat.categories.tolist()
    ['0', '1', '2', '3']
    """
    from scsemst.training.run import run, write

    adata = get_table(adata, table_key, copy=copy)
    require_new_key(key_added, name="key_added")
    require_apart(key_added, semantics_key)
    require_unused(adata, key_added, batch_key=batch_key)
    options = {
        "semantics_key": semantics_key,
        "neighbors_key": neighbors_key,
        "batch_key": batch_key,
        "integrate": integrate,
        "layer": layer,
        "n_top_genes": n_top_genes,
        "likelihood": likelihood,
        "preset": preset,
        "n_latent": n_latent,
        "epochs": epochs,
        "batch_size": batch_size,
        "precision": precision,
        "store_modulation": store_modulation,
        "checkpoint_dir": checkpoint_dir,
        "checkpoint_minutes": checkpoint_minutes,
        "device": device,
        "rng": rng,
        "progress": progress,
    }
    result = run(adata, n_domains, options)
    adata = adata.copy() if copy else adata
    write(adata, result, key_added)
    result.remove_checkpoint()
    return adata if copy else None
