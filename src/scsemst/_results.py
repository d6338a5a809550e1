"""What an earlier run has left under the key of a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import _keys

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["clear_probability", "clear_results", "require_apart", "require_unused", "result_names"]


def result_names(key_added: str) -> tuple[tuple[str, str], ...]:
    """Return slots and names of what some runs write and others don't, so that the old would stay beside the new."""
    return (
        ("obs", key_added),
        ("obs", _keys.probability(key_added)),
        ("obsm", _keys.alpha(key_added)),
        ("obsm", _keys.beta(key_added)),
    )


def clear_results(adata: AnnData, key_added: str) -> None:
    """Remove them, if `uns` says that it was a run that wrote them."""
    earlier = adata.uns.get(key_added)
    if not isinstance(earlier, Mapping) or "params" not in earlier:
        return
    for slot, name in result_names(key_added):
        if name in getattr(adata, slot):
            _remove(adata, slot, name)


def clear_probability(adata: AnnData, key_added: str) -> None:
    """Remove the probabilities of domains that `tl.predict` found, where others take their place."""
    if _keys.probability(key_added) in adata.obs and isinstance(adata.uns.get(key_added), Mapping):
        _remove(adata, "obs", _keys.probability(key_added))


def _remove(adata: AnnData, slot: str, name: str) -> None:
    if slot == "obs" and hasattr(adata.obs, "to_memory"):  # of anndata.experimental.read_lazy, which forgets nothing
        adata.obs = adata.obs.to_memory()
    del getattr(adata, slot)[name]


def require_unused(adata: AnnData, key_added: str, *, batch_key: str | None = None) -> None:
    """Raise if results would take the place of what tells slices, or the regions of a SpatialData object, apart."""
    attributes = adata.uns.get(_keys.SPATIALDATA, {})
    used = {batch_key: "the slices", _keys.SPATIALDATA: "what SpatialData knows of the table"}
    if isinstance(attributes, Mapping):
        used |= {attributes.get(name): "what SpatialData needs of it" for name in ("region_key", "instance_key")}
    if key_added in used:
        raise ValueError(f"key_added={key_added!r} would overwrite {used[key_added]}. Choose another key.")
    if key_added in adata.uns and not isinstance(adata.uns[key_added], Mapping):
        found = type(adata.uns[key_added]).__name__
        raise ValueError(
            f"key_added={key_added!r} would overwrite adata.uns[{key_added!r}], of type {found}, which no run wrote. Choose "
            "another key."
        )


def require_apart(key_added: str, semantics_key: str | None) -> None:
    """Raise if the latent space would be written to where semantics are."""
    name = _keys.embedding(key_added)
    if name in (semantics_key, _keys.GENE_SEMANTICS, _keys.SPOT_SEMANTICS):
        raise ValueError(
            f"key_added={key_added!r} would write the latent space to adata.obsm[{name!r}], which holds semantics. Choose "
            "another key."
        )
