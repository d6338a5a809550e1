"""What all likelihoods share: linear heads, and a loss whose gradient is formed chunk by chunk."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..precision import full_precision
from .observed import Chunk, Observed

__all__ = ["Likelihood"]


class Likelihood(nn.Module):
    """Decoder heads and the negative log-likelihood of observed expression under them.

    The loss and its gradient are formed together, one chunk of spots at a time, so no spots × genes array outlives
    its chunk, and special functions are evaluated at non-zero counts only.

    Parameters
    ----------
    in_channels
        Size of the decoder's hidden features.
    n_genes
        Number of genes.
    per_spot
        Parameters besides the mean that get a head of their own, so that they vary over spots as well as
        genes. The others are one free parameter per gene.
    n_batches
        Number of slices (batches). With several, each has a bias per gene of its own in the mean, and its own
        parameters per gene.
    """

    others: ClassVar[tuple[str, ...]] = ()
    """Parameters besides the mean."""
    library_offset: ClassVar[bool] = True
    """Whether the mean head is a log rate, to which the log library size is added."""

    def __init__(self, in_channels: int, n_genes: int, *, per_spot: tuple[str, ...] = (), n_batches: int = 1) -> None:
        super().__init__()
        if unknown := set(per_spot) - set(self.others):
            raise ValueError(f"per_spot has {sorted(unknown)}, but {type(self).__name__} has {self.others}.")
        self.in_channels = in_channels
        self.n_genes = n_genes
        self.n_batches = n_batches
        self.heads = nn.ModuleDict({name: nn.Linear(in_channels, n_genes) for name in ("mean", *per_spot)})
        shape = (n_genes,) if n_batches == 1 else (n_batches, n_genes)
        self.per_gene = nn.ParameterDict(
            {name: nn.Parameter(torch.empty(shape)) for name in self.others if name not in per_spot}
        )
        self.batch_bias = nn.Parameter(torch.empty(shape)) if n_batches > 1 else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights; parameters per gene start at zero."""
        for head in self.heads.values():
            head.reset_parameters()
        for parameter in self.per_gene.values():
            nn.init.zeros_(parameter)
        if self.batch_bias is not None:
            nn.init.zeros_(self.batch_bias)

    def forward(
        self, hidden: Tensor, log_library: Tensor | None = None, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the raw parameters, each of shape `(n_spots, n_genes)` or `(n_genes,)`.

        Parameters
        ----------
        hidden
            The decoder's hidden features, shape `(n_spots, in_channels)`.
        log_library
            Natural log of each spot's library size, shape `(n_spots,)`.
        batch
            Batch of each spot, where there are several, shape `(n_spots,)`.
        """
        values = {name: head(hidden) for name, head in self.heads.items()}
        if self.library_offset and log_library is not None:
            values["mean"] = values["mean"] + log_library[:, None]
        if self.batch_bias is None:
            return {**values, **self.per_gene}
        values["mean"] = values["mean"] + self.batch_bias[batch]
        return values | {name: parameter[batch] for name, parameter in self.per_gene.items()}

    @full_precision
    def loss(
        self, hidden: Tensor, observed: Observed, log_library: Tensor | None = None, batch: Tensor | None = None
    ) -> Tensor:
        """Return the mean negative log-likelihood per spot and gene, a scalar; parameters as in :meth:`forward`."""
        names = [*self.heads]
        linear = [p for name in names for p in (self.heads[name].weight, self.heads[name].bias)]
        free = [*self.per_gene.values(), *([] if self.batch_bias is None else [self.batch_bias])]
        return _ChunkedLoss.apply(self, observed, log_library, batch, hidden, *linear, *free)

    @abstractmethod
    def terms(self, values: dict[str, Tensor], chunk: Chunk) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the summed negative log-likelihood of a chunk and its gradient in each of `values`, of that shape."""

    def gene_terms(self, per_gene: dict[str, Tensor], observed: Observed) -> tuple[Tensor | float, dict[str, Tensor]]:
        """Return what :meth:`terms` leaves out where parameters are the gene's, as it needs no spot, and its gradient."""
        return 0.0, {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.n_genes}, per_spot={tuple(self.heads)[1:]})"


_BIAS = "batch_bias"


def _of_batches(per_gene: dict[str, Tensor], batch: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return each spot's own parameters, and the matrix that sums spots by batch: a product, unlike a scatter, repeats."""
    n_batches = per_gene[_BIAS].shape[0]
    member = torch.nn.functional.one_hot(batch, n_batches).T.to(per_gene[_BIAS].dtype)
    return {name: parameter[batch] for name, parameter in per_gene.items()}, member


class _ChunkedLoss(torch.autograd.Function):
    """Mean loss over all chunks; the gradient is computed on the way and scaled in `backward`."""

    @staticmethod
    def forward(ctx, likelihood: Likelihood, observed: Observed, log_library, batch, hidden, *parameters: Tensor):
        names = [*likelihood.heads]
        linear = {name: parameters[2 * i : 2 * i + 2] for i, name in enumerate(names)}
        free = [*likelihood.per_gene, *([] if likelihood.batch_bias is None else [_BIAS])]
        per_gene = dict(zip(free, parameters[2 * len(names) :], strict=True))
        gradient = {name: [torch.zeros_like(p) for p in pair] for name, pair in linear.items()}
        gradient_gene = {name: torch.zeros_like(p) for name, p in per_gene.items()}
        gradient_hidden = torch.zeros_like(hidden)
        total = hidden.new_zeros(())
        for chunk in observed:
            h = hidden[chunk.rows]
            values = {name: torch.addmm(bias, h, weight.T) for name, (weight, bias) in linear.items()}
            if likelihood.library_offset and log_library is not None:
                values["mean"] += log_library[chunk.rows, None]
            own, member = per_gene, None
            if likelihood.batch_bias is not None:
                own, member = _of_batches(per_gene, batch[chunk.rows])
                values["mean"] += own.pop(_BIAS)
            nll, slopes = likelihood.terms({**values, **own}, chunk)
            total += nll
            for name, (weight, _) in linear.items():
                slope = slopes[name]
                gradient_hidden[chunk.rows] += slope @ weight
                gradient[name][0].addmm_(slope.T, h)
                gradient[name][1] += slope.sum(dim=0)
            for name in per_gene:
                slope = slopes["mean" if name == _BIAS else name]
                if member is None:
                    gradient_gene[name] += slope if slope.ndim == 1 else slope.sum(dim=0)
                else:
                    gradient_gene[name] += member @ slope
        if likelihood.batch_bias is None:
            nll, slopes = likelihood.gene_terms(per_gene, observed)
            total += nll
            for name, slope in slopes.items():
                gradient_gene[name] += slope
        scale = 1.0 / (observed.shape[0] * observed.shape[1])
        flat = [gradient_hidden, *(g for name in names for g in gradient[name]), *gradient_gene.values()]
        ctx.save_for_backward(*(g.mul_(scale) for g in flat))
        return total * scale

    @staticmethod
    def backward(ctx, grad: Tensor):
        return (None, None, None, None, *(g * grad for g in ctx.saved_tensors))
