"""One file per method: a function `run(adata, n_domains, seed) -> (labels, latent)` that sees no annotation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    title: str
    module: str
    function: str = "run"
    environment: str = "main"
    """`"main"`, where this package is installed, or `"peers"`, see `setup_peers.sh`."""
    random: bool = True
    """Whether the seed changes anything; if not, one run is all there is."""
    group: str = "rows"
    """`"rows"` of the table, or `"ablations"` of the default."""
    note: str = ""

    @property
    def target(self) -> str:
        return f"{__name__}.{self.module}:{self.function}"


def _ablation(title: str, function: str, note: str = "") -> Method:
    return Method(title, "semst_ablations", function, group="ablations", note=note)


METHODS = {
    "semst": Method("SemST, default", "semst", "default"),
    "semst_paper": Method("SemST, the paper's preset", "semst", "paper"),
    "ten_lines": Method(
        "Ten lines",
        "ten_lines",
        note="3000 variable genes, log-normalised to their sum, three averages over 6 neighbours, 15 components, tied mixture, best of 5 starts",
    ),
    "ten_lines_one_start": Method(
        "Ten lines, one start", "ten_lines", "one_start", note="one random start instead of five"
    ),
    "ten_lines_all_genes": Method(
        "Ten lines, all genes' sum",
        "ten_lines",
        "all_genes",
        note="normalised to the sum of all genes before the variable ones are chosen; the same where there are fewer than 3000",
    ),
    "ten_lines_10": Method(
        "Ten lines, 10 components", "ten_lines", "ten_components", note="10 components, median library size"
    ),
    "ten_lines_consensus": Method(
        "Ten lines, our consensus",
        "ten_lines",
        "consensus",
        note="the same smoothed expression, 20 components, clustered as `tl.semst` does: what the last step adds",
    ),
    "leiden": Method(
        "Leiden (scanpy)",
        "leiden",
        note="no space; 50 components of log-normalised expression; resolution searched for K, else closest clusters merged",
    ),
    "niche_cellcharter": Method(
        "squidpy niches, cellcharter",
        "squidpy_niche",
        "cellcharter",
        environment="peers",
        note="K components of its mixture; no latent space is returned",
    ),
    "niche_neighborhood": Method(
        "squidpy niches, neighborhood",
        "squidpy_niche",
        "neighborhood",
        environment="peers",
        note="profiles of Leiden clusters in place of cell types; resolution searched for K, else the closest number",
    ),
    "niche_utag": Method(
        "squidpy niches, utag",
        "squidpy_niche",
        "utag",
        environment="peers",
        random=False,
        note="resolution searched for K, else the closest number; takes no seed",
    ),
    "niche_spatialleiden": Method(
        "squidpy niches, spatialleiden",
        "squidpy_niche",
        "spatialleiden",
        environment="peers",
        note="resolution of both layers searched for K, else the closest number",
    ),
    "banksy": Method(
        "BANKSY (pybanksy)",
        "banksy",
        environment="peers",
        note="domain segmentation, λ = 0.8, 20 components, its Leiden step with the resolution searched for K",
    ),
    "cellcharter": Method(
        "CellCharter",
        "cellcharter",
        environment="peers",
        note="10 principal components in place of scVI's 10 latent dimensions, three layers of neighbours, its mixture",
    ),
    "graphst": Method(
        "GraphST, our mixture",
        "graphst",
        environment="peers",
        note="600 epochs; its step in R replaced by the same mixture here; no refinement of labels; seeds 2 to 4 of slices above 2,100 spots on a GPU",
    ),
    "semst_no_semantics": _ablation("no semantics", "no_semantics"),
    "semst_shuffled": _ablation("shuffled gene vectors", "shuffled", "same numbers, wrong genes"),
    "semst_random": _ablation("random gene vectors", "random"),
    "semst_names": _ablation("MiniLM of symbols and names", "names", "384 dimensions, in place of the bundled 120"),
    "semst_prompts": _ablation("SmolLM2 reading spots", "prompts", "`pp.spot_semantics` with SmolLM2-135M-Instruct"),
    "semst_concatenated": _ablation("no FSM, semantics concatenated", "concatenated"),
    "semst_gene_prior": _ablation("half of each gene from its like", "gene_prior", "gene–gene prior of 0.5"),
    "semst_gene_prior_shuffled": _ablation(
        "half of each gene from others", "gene_prior_shuffled", "the same prior with shuffled gene vectors"
    ),
    "semst_no_spatial_graph": _ablation("no spatial graph", "no_spatial_graph", "each spot is its only neighbour"),
    "semst_feature_graph": _ablation("a feature graph, too", "feature_graph", "both views, as in the paper"),
    "semst_no_neighbor_loss": _ablation("no neighbour loss", "no_neighbor_loss"),
    "semst_no_redundancy_loss": _ablation("a feature graph, no redundancy loss", "no_redundancy_loss"),
    "semst_no_reconstruction": _ablation("no reconstruction loss", "no_reconstruction"),
    "semst_untrained": _ablation("no training", "untrained", "zero epochs: what the start alone gives"),
}
