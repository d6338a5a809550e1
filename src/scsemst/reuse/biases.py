"""The first layer's biases for another slice: missing genes filled in, slices that training did not see centred."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from scsemst.training.slices import Slices, codes_of

from .genes import AlignedExpression, mean_expression

if TYPE_CHECKING:
    from anndata import AnnData

    from scsemst.nn import GraphEncoder, SemST

    from .parts import Parts

__all__ = ["adapted", "slices_of"]


def slices_of(adata: AnnData, parts: Parts) -> Slices | None:
    """Return the slices in an AnnData, as a model of several slices takes them; `None` for a model of one.

    They stand in the column that training read. Without such a column, all spots are of one slice, unknown to the model.
    """
    key = parts.options.get("batch_key")
    if key is None:
        return None
    return codes_of(adata, key) if key in adata.obs else Slices.single(adata.n_obs)


@torch.no_grad()
def adapted(parts: Parts, expression: AlignedExpression | Any, slices: Slices | None) -> SemST:
    """Return a copy of the network whose first biases are those of the slices that it will read.

    What missing genes have on average is added. A slice that the network was trained on, by name, keeps its bias. Any
    other gets one that takes its own mean away and adds what training slices have after theirs was taken away.
    """
    module = copy.deepcopy(parts.module)
    fill = _mixed(parts, getattr(expression, "fill", None))
    if slices is None and not (fill is not None and fill.any()):
        return module
    here = _mixed(parts, None if slices is None else mean_expression(expression, slices))
    for view in (module.spatial_view, module.feature_view):
        if view is None:
            continue
        if slices is None:
            view.first.bias += fill @ view.first.weight
        else:
            view.batch_bias = torch.nn.Parameter(_biases(view, parts, slices, here, fill))
    return module


def _biases(
    view: GraphEncoder, parts: Parts, slices: Slices, here: torch.Tensor, fill: torch.Tensor | None
) -> torch.Tensor:
    weight, own = view.first.weight, cast("torch.Tensor", view.batch_bias)
    means = cast("torch.Tensor", _mixed(parts, parts.genes.means))
    centred = (means @ weight + own).mean(dim=0) - here @ weight
    filled = own if fill is None else own + fill @ weight
    known = {name: i for i, name in enumerate(parts.options["batches"])}
    return torch.stack([filled[known[name]] if name in known else centred[i] for i, name in enumerate(slices.names)])


def _mixed(parts: Parts, values: np.ndarray | None) -> torch.Tensor | None:
    """Lend each gene expression of those that it borrows from in training; values of shape `(…, n_genes)`."""
    if values is None:
        return None
    mixed = values if parts.mixing is None else (parts.mixing.T @ values.T).T
    return torch.tensor(mixed, dtype=torch.float32)
