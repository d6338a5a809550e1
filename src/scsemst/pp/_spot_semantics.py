from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from scsemst import _keys
from scsemst._checks import expression, require_in, require_integer, require_key, require_names, require_new_key
from scsemst._table import get_table

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from anndata import AnnData
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


class _Recipe(NamedTuple):
    rank_by: str
    pooling: str
    center: bool
    system: str
    prompt: str


def spot_semantics(
    adata: AnnData | SpatialData,
    *,
    model: str | Path,
    n_top_genes: int = 10,
    preset: Literal["paper"] | None = None,
    rank_by: Literal["deviance", "expression"] | None = None,
    pooling: Literal["genes", "mean", "last"] | None = None,
    center: bool | None = None,
    prompt: str | None = None,
    system: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    revision: str | None = None,
    gguf_file: str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    batch_size: int = 32,
    reuse_prefix: bool = True,
    device: str | torch.device = "auto",
    dtype: str = "auto",
    cache: bool = True,
    progress: bool = True,
    key_added: str = _keys.SPOT_SEMANTICS,
    table_key: str = _keys.TABLE,
    copy: bool = False,
) -> AnnData | None:
    """Let a language model read each spot's genes :cite:p:`Long_2025`.

    The genes that stand out in a spot become a prompt; a frozen model's last hidden states become the spot's vector.
    Identical prompts are read once, the prompts' common beginning is encoded once for all of them, and vectors are
    kept in `settings.cache_dir`, so that a second call reads no prompt and an interrupted one goes on where it stopped.

    ==================  ========================================  ==============================================
    argument            default                                   `preset="paper"`
    ==================  ========================================  ==============================================
    `rank_by`           `"deviance"`: special in the spot         `"expression"`: highest in the spot
    `pooling`           `"genes"`: the genes' tokens              `"mean"`: all tokens, system message included
    `center`            `True`                                    `False`
    `system`, `prompt`  short                                     says what to infer from the genes
    ==================  ========================================  ==============================================

    Parameters
    ----------
    adata
        Annotated data matrix. Counts or normalised values; not scaled.
    model
        Hugging Face hub id, local folder or `.gguf` file; causal or encoder.
    n_top_genes
        Genes named in a prompt, fewer if a spot has fewer.
    preset
        `"paper"` follows the paper; single arguments still win over it.
    rank_by
        `"deviance"` ranks genes by how much more of them there is than the spot's total and the gene's share of the
        data let expect (`scsemst.semantics.rank.top_genes`); `"expression"` by value. Ties go by gene name.
    pooling
        Average over the `"genes"` tokens, over all tokens (`"mean"`), or the `"last"` token.
    center
        Whether to subtract the mean over all spots. Causal models put all prompts into a narrow cone; what tells
        spots apart is left after centring.
    prompt
        User message, with `{genes}` where the genes go.
    system
        System message; none if empty.
    layer
        Layer with the expression; `X` if `None`.
    gene_symbols
        Column of `var` with the symbols to name in the prompt; `var_names` if `None`.
    revision
        Branch, tag or commit of a hub model.
    gguf_file
        Name of the GGUF file in the folder or repository.
    trust_remote_code
        Whether code that comes with the model may run.
    allow_pickle
        Whether weights stored as pickle may be loaded when there are no safetensors.
    batch_size
        Prompts per forward pass.
    reuse_prefix
        Whether to encode the prompts' common beginning once. Same vectors, less time.
    device
        Torch device; `"auto"` takes a GPU if there is one.
    dtype
        `"float32"`, `"float16"`, `"bfloat16"`; `"auto"` is half precision on a GPU, float32 elsewhere.
    cache
        Whether vectors are kept in `settings.cache_dir`.
    progress
        Whether to show a progress bar.
    key_added
        Where the result is stored.
    table_key
        Table to use if `adata` is a :class:`~spatialdata.SpatialData`. The copy is one of this table.
    copy
        Whether to return a copy.

    Returns
    -------
    `None`, or a copy of `adata` if `copy=True`. Sets the following fields:

    `adata.obsm[key_added]` : :class:`numpy.ndarray` (shape `(n_obs, d)`, dtype `float32`)
        Spot vectors. A spot without counts gets the mean of the others, zero if centred, with a warning.
    `adata.uns[key_added]` : :class:`dict`
        `params`, the `encoder`'s id, `n_prompts` (different ones) and `n_empty_spots`.

    Raises
    ------
    KeyError
        If the layer or the column of symbols is missing.
    ValueError
        If all spots are empty, values are negative or NaN, the prompt lacks `{genes}`, or the model cannot be loaded.

    Examples
    --------
    >>> import scsemst
    >>> adata = scsemst.datasets.dlpfc()
    >>> scsemst.pp.spot_semantics(adata, model="HuggingFaceTB/SmolLM2-135M-Instruct")  # doctest: +SKIP
    """
    from scsemst.language import prompts
    from scsemst.language.cache import EmbeddingCache
    from scsemst.language.encoders.cached import CachedEncoder
    from scsemst.language.encoders.checkpoint import Checkpoint
    from scsemst.language.encoders.prompt import PromptEncoder

    adata = get_table(adata, table_key, copy=copy)
    require_in(preset, (None, "paper"), name="preset")
    require_names(adata)
    require_new_key(key_added, name="key_added")
    n_top_genes = require_integer(n_top_genes, name="n_top_genes", minimum=1)
    if preset == "paper":
        recipe = _Recipe("expression", "mean", False, prompts.PAPER_SYSTEM, prompts.PAPER_PROMPT)
    else:
        recipe = _Recipe("deviance", "genes", True, prompts.SYSTEM, prompts.PROMPT)
    chosen: dict[str, Any] = {
        "rank_by": rank_by,
        "pooling": pooling,
        "center": center,
        "system": system,
        "prompt": prompt,
    }
    recipe = recipe._replace(**{name: value for name, value in chosen.items() if value is not None})

    genes = _spot_genes(adata, n_top_genes, recipe.rank_by, layer=layer, gene_symbols=gene_symbols)
    filled = np.array([bool(text) for text in genes])
    if not filled.any():
        raise ValueError("No spot has any counts: there are no genes to write a prompt about.")

    checkpoint = Checkpoint(
        model,
        revision=revision,
        gguf_file=gguf_file,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        device=device,
        dtype=dtype,
    )
    encoder = PromptEncoder(
        checkpoint,
        prompts.build_prompt(checkpoint.tokenizer, system=recipe.system, prompt=recipe.prompt),
        pooling=recipe.pooling,
        batch_size=batch_size,
        reuse_prefix=reuse_prefix,
    )
    encode = CachedEncoder(encoder, EmbeddingCache()).encode if cache else encoder.encode
    vectors = encode([text for text in genes if text], progress=progress)

    mean = vectors.mean(axis=0, dtype=np.float64)
    n_empty = int((~filled).sum())
    if n_empty:
        warnings.warn(
            f"{n_empty} of {adata.n_obs} spots have no counts; they get the mean of the other spots' vectors. "
            "Filter them with scanpy.pp.filter_cells(adata, min_counts=1).",
            stacklevel=2,
        )
    spots = np.empty((adata.n_obs, vectors.shape[1]), dtype=np.float32)
    spots[filled] = vectors
    spots[~filled] = mean
    if recipe.center:
        spots -= mean.astype(np.float32)

    params = {"model": str(model), "n_top_genes": n_top_genes, "preset": preset, **recipe._asdict()}
    params |= {"layer": layer, "gene_symbols": gene_symbols}
    adata = adata.copy() if copy else adata
    adata.obsm[key_added] = spots
    adata.uns[key_added] = {
        "params": {name: value for name, value in params.items() if value is not None},
        "encoder": encoder.id,
        "n_prompts": len({text for text in genes if text}),
        "n_empty_spots": n_empty,
    }
    return adata if copy else None


def _spot_genes(
    adata: AnnData, n_top_genes: int, rank_by: str, *, layer: str | None, gene_symbols: str | None
) -> list[str]:
    from scsemst.language.prompts import join_genes
    from scsemst.semantics.rank import top_genes

    names = adata.var_names.to_numpy(dtype=object)
    if gene_symbols is not None:
        symbols = require_key(adata, "var", gene_symbols, fix="Pass gene_symbols=None to use var_names.")
        symbols = symbols.astype(object).where(symbols.notna() & (symbols.astype(str).str.strip() != ""))
        names = np.where(symbols.isna(), names, symbols.to_numpy(dtype=object))
    elif adata.var_names.str.match(r"ENS[A-Z]*G\d{6,}").mean() > 0.5:
        warnings.warn(
            "var_names are Ensembl ids, which say nothing to a language model. Pass gene_symbols= to name the column "
            "of var that holds the symbols.",
            stacklevel=3,
        )
    names = [str(name) for name in names]
    name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    top = top_genes(expression(adata, layer), names, n_top_genes=n_top_genes, rank_by=rank_by, name=name)
    return join_genes(top, names)
