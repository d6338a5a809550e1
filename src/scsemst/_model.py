"""A trained model, to be kept, shared and used on other slices."""

from __future__ import annotations

import copy as _copy
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from huggingface_hub import ModelHubMixin

from ._checks import as_generator, require_new_key
from ._results import require_apart, require_unused
from ._table import get_table

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from .reuse.parts import Parts

__all__ = ["SemST"]


class SemST(
    ModelHubMixin,
    library_name="scsemst",
    tags=["spatial-transcriptomics", "spatial-domains"],
    paper_url="https://arxiv.org/abs/2511.11380",
):
    """A trained SemST model: made by :meth:`from_adata`, kept by :meth:`save`, used by :func:`scsemst.tl.predict`.

    It has no data of the training slice but means per gene. The torch module is `model.module`.

    Parameters
    ----------
    parts
        What the model consists of; use :meth:`from_adata`, :meth:`load` or :meth:`from_pretrained`.

    Examples
    --------
    >>> import scsemst
    >>> import squidpy as sq
    >>> adata = scsemst.datasets.dlpfc()
    >>> left, right = adata[:600].copy(), adata[600:1200].copy()
    >>> for part in (left, right):
    ...     sq.gr.spatial_neighbors_knn(part, n_neighs=6)
    ...     scsemst.pp.gene_semantics(part)
    >>> model = scsemst.SemST.from_adata(left, n_domains=4, epochs=3)
    >>> model
    SemST(n_genes=3000, n_latent=20, n_domains=4)
    >>> scsemst.tl.predict(right, model)
    >>> right.obs["semst"].cat.categories.tolist()
    ['0', '1', '2', '3']
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @classmethod
    def from_adata(
        cls, adata: AnnData | SpatialData, n_domains: int | Literal["auto"] | None = None, **options: Any
    ) -> SemST:
        """Train on a slice, as :func:`scsemst.tl.semst` does, and keep the model.

        Writes the same fields to `adata` as :func:`scsemst.tl.semst`, with the same values for the same seed.

        Parameters
        ----------
        adata
            Annotated data matrix of one slice, spots × genes, or a SpatialData with `table_key=`.
        n_domains
            Number of domains, `"auto"` to choose it. A model without domains embeds other slices but does not label them.
        options
            Other parameters of :func:`scsemst.tl.semst`, except `copy`.

        Returns
        -------
        The trained model.
        """
        from .reuse.parts import gather
        from .tl import semst
        from .training.run import run, write

        if options.get("integrate") is not None:
            raise ValueError(
                f"integrate={options['integrate']!r} corrects the spots at hand and has no rule for others: no model can be "
                "made of it. Leave it out here, or use scsemst.tl.semst."
            )
        if "copy" in options:
            raise TypeError("from_adata returns a model and takes no copy=. Pass adata.copy() to keep adata as it is.")
        bound = inspect.signature(semst).bind(adata, n_domains, **options)
        bound.apply_defaults()
        values = {name: value for name, value in bound.arguments.items() if name not in ("adata", "n_domains", "copy")}
        key_added = values.pop("key_added")
        adata = get_table(adata, values.pop("table_key"), copy=False)
        require_new_key(key_added, name="key_added")
        require_apart(key_added, values["semantics_key"])
        require_unused(adata, key_added, batch_key=values["batch_key"])
        if not isinstance(values["rng"], int | np.integer):
            values["rng"] = as_generator(values["rng"])
        before = as_generator(_copy.deepcopy(values["rng"]))
        done = run(adata, n_domains, values)
        named = {name: values[name] for name in ("layer", "neighbors_key", "batch_size")}
        model = cls(gather(adata, done, **named, rng=before))
        write(adata, done, key_added)
        done.remove_checkpoint()
        return model

    @property
    def module(self) -> Any:
        """The torch module, a :class:`scsemst.nn.SemST`."""
        return self._parts.module

    @property
    def gene_names(self) -> list[str]:
        """Genes that the model reads."""
        genes = self._parts.genes
        return [genes.names[column] for column in genes.columns]

    @property
    def n_domains(self) -> int | None:
        """Number of domains, `None` if the model was trained without."""
        return self._parts.n_domains

    @property
    def record(self) -> dict[str, Any]:
        """What made the model: parameters, history, versions, semantics, as in `uns` of the training slice."""
        return _copy.deepcopy(self._parts.record)

    def save(self, folder: str | Path) -> None:
        """Write the model to a folder: weights as safetensors, all else as JSON, nothing pickled.

        A model that is there already is replaced in one step: whoever reads finds the old one or the new one.

        Parameters
        ----------
        folder
            Made if it does not exist.

        Raises
        ------
        ValueError
            If the folder holds something else.
        """
        from .reuse.storage import save_parts

        save_parts(self._parts, folder)

    @classmethod
    def load(cls, folder: str | Path) -> SemST:
        """Read a model from a folder that :meth:`save` wrote.

        Parameters
        ----------
        folder
            The folder.

        Raises
        ------
        FileNotFoundError
            If there is no model.
        ValueError
            If it is not a model of this package, was written by a newer version, or is damaged.
        """
        from .reuse.storage import load_parts

        return cls(load_parts(folder))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> SemST:
        """Read a model from a folder or the Hugging Face hub.

        Parameters
        ----------
        pretrained_model_name_or_path
            Folder, or name of the repository on the hub.
        options
            `revision`, `token`, `cache_dir`, `force_download`, `local_files_only`; see
            :class:`huggingface_hub.ModelHubMixin`.
        """
        # A folder needs none of the mixin's reading of config.json, whose errors would hide ours
        if Path(pretrained_model_name_or_path).is_dir():
            return cls.load(pretrained_model_name_or_path)
        return super().from_pretrained(pretrained_model_name_or_path, **options)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the model to a folder, as :meth:`save` does, and push it to the hub if asked to.

        Parameters
        ----------
        save_directory
            The folder.
        options
            `repo_id`, `push_to_hub` and others of :class:`huggingface_hub.ModelHubMixin`.

        Raises
        ------
        ValueError
            If the folder holds something else.
        """
        from ._folders import as_folder, require_ours
        from .reuse.storage import MODEL

        require_ours(as_folder(save_directory), MODEL)  # the mixin would delete another model's config.json
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save(save_directory)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> SemST:
        from huggingface_hub import snapshot_download

        return cls.load(snapshot_download(model_id, allow_patterns=["config.json", "model-*.safetensors"], **options))

    def __repr__(self) -> str:
        n_latent = self._parts.rotation.axes.shape[1]
        return (
            f"{type(self).__name__}(n_genes={len(self._parts.genes.columns)}, {n_latent=}, n_domains={self.n_domains})"
        )
