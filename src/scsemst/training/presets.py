"""Named settings of the model and its training."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """Settings that `tl.semst` takes together by name; all but `likelihood` and `epochs` are documented here."""

    warm_start: bool
    """Start with principal components of spatially averaged expression as the latent space."""
    feature_view: bool
    """Read the expression over the graph of spots with like expression as well."""
    normalization: str
    """Of both graphs, see :class:`scsemst.nn.SpotGraph`."""
    activation: str
    """See :class:`scsemst.nn.GraphEncoder`."""
    hidden_channels: int
    """Size of the first layer of each view."""
    view_channels: int
    """Size of the second layer of each view."""
    n_latent: int
    """Size of the latent space."""
    latent_layers: int
    """Layers of the MLP from the modulated features to the latent space."""
    decoder_channels: int
    """Hidden size of the decoder."""
    enough_spots: int
    """See :func:`~scsemst.graphs.local_graph`."""
    n_neighbors: int
    """Neighbours in the expression graph."""
    per_spot: tuple[str, ...]
    """Parameters of the likelihood, besides the mean, that vary over spots."""
    gene_prior: float
    """Share of a gene's expression that the encoder takes from the genes closest in meaning."""
    neighbor_weight: float
    """γ, weight of the neighbour loss."""
    redundancy_weight: float
    """β, weight of the redundancy loss."""
    balanced_neighbors: bool
    """See :class:`scsemst.nn.NeighborLoss`."""
    learning_rate: float
    """Of Adam, for the decoder."""
    encoder_learning_rate: float
    """Of Adam, for both views and the map to the latent space."""
    modulation_learning_rate: float
    """Of Adam, for the modulation by semantics."""
    semantic_hops: int
    """How often the semantic vectors are averaged over the spatial graph before they modulate."""
    weight_decay: float
    """Of Adam."""
    epochs: int
    """Most epochs of training."""
    readout_hops: int
    """How often the trained latent space is averaged over the spatial graph."""


PRESETS = {
    "default": Preset(
        warm_start=True,
        # Docs, "Benchmarks": averaging over spots of like expression as well costs more than it brings
        feature_view=False,
        normalization="row",
        activation="prelu",
        hidden_channels=50,
        view_channels=50,
        n_latent=20,
        latent_layers=1,
        decoder_channels=64,
        # Docs, "Benchmarks": chosen on crops of slices of other studies than those that it serves
        enough_spots=1000,
        n_neighbors=15,
        per_spot=(),
        gene_prior=0.0,
        neighbor_weight=0.1,
        redundancy_weight=0.1,
        balanced_neighbors=True,
        learning_rate=5e-3,
        encoder_learning_rate=1e-5,
        modulation_learning_rate=1e-4,
        semantic_hops=2,
        weight_decay=0.0,
        epochs=30,
        readout_hops=1,
    ),
    "paper": Preset(
        warm_start=False,
        feature_view=True,
        normalization="sym",
        activation="relu",
        hidden_channels=256,
        view_channels=128,
        n_latent=64,
        latent_layers=2,
        decoder_channels=128,
        enough_spots=0,
        n_neighbors=14,
        per_spot=("dispersion", "dropout"),
        gene_prior=0.0,
        neighbor_weight=0.1,
        redundancy_weight=0.1,
        balanced_neighbors=False,
        learning_rate=1e-3,
        encoder_learning_rate=1e-3,
        modulation_learning_rate=1e-3,
        semantic_hops=0,
        weight_decay=5e-4,
        epochs=100,
        readout_hops=0,
    ),
}
