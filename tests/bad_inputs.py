"""What users pass by mistake, and what the package says to it: exception, key, value found, and the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import scsemst
from scsemst import metrics, pl, pp, tl

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


class Case(NamedTuple):
    """One mistake. `spoil` damages a prepared slice and may return another one; `call` then fails as described."""

    name: str
    call: Callable[[AnnData], Any]
    error: type[Exception]
    message: str
    spoil: Callable[[AnnData], AnnData | None] = lambda adata: None


def semst(adata: AnnData, n_domains: Any = 3, **options: Any) -> Any:
    return tl.semst(adata, n_domains, **{"epochs": 1, "progress": False, **options})


def modulate(adata: AnnData, use_rep: Any = "X_semst", **options: Any) -> Any:
    return tl.modulate(adata, use_rep, **{"epochs": 1, "progress": False, **options})


def first_count(value: float, dtype: type = np.float32) -> Callable[[AnnData], None]:
    """Put a value in place of the first count."""

    def spoil(adata: AnnData) -> None:
        adata.X = adata.X.astype(dtype)
        adata.X.data[0] = value

    return spoil


def scaled(adata: AnnData) -> None:
    """Normalise and take logarithms, as for a PCA."""
    total = np.asarray(adata.X.sum(axis=1))
    adata.X = sparse.csr_matrix(adata.X.multiply(1e4 / total)).log1p()


def drop(attribute: str, key: str) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        del getattr(adata, attribute)[key]

    return spoil


def put(attribute: str, key: str, value: Callable[[AnnData], Any]) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        getattr(adata, attribute)[key] = value(adata)

    return spoil


def with_nan(attribute: str, key: str) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        values = np.array(getattr(adata, attribute)[key], dtype=float)
        values[3, 0] = np.nan
        getattr(adata, attribute)[key] = values

    return spoil


def empty_spots(adata: AnnData) -> None:
    x = adata.X.tolil()
    x[[5, 8]] = 0
    adata.X = x.tocsr()


def all_zero(adata: AnnData) -> None:
    adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)


def names(axis: str, make: Callable[[AnnData], list[str]]) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        setattr(adata, axis, make(adata))

    return spoil


def unknown(adata: AnnData) -> list[str]:
    return [f"probe_{i}" for i in range(adata.n_vars)]


def second_twice(adata: AnnData) -> list[str]:
    return [adata.var_names[1], *adata.var_names[1:]]


def string_matrix(adata: AnnData) -> np.ndarray:
    return np.full((adata.n_obs, 3), "a")


N, G = 120, 150
GRAPH_FIX = r"squidpy\.gr\.spatial_neighbors_knn"
SEMANTICS_FIX = r"scsemst\.pp\.gene_semantics"
SEMST_FIX = r"scsemst\.tl\.semst"

# --- adata itself -----------------------------------------------------------------------------------------------------


def drivers(adata: AnnData, **options: Any) -> Any:
    return tl.semantic_drivers(adata, **{"modulation_key": "X_semst_semst", **options})


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "pp.gene_semantics": pp.gene_semantics,
    "pp.spot_semantics": lambda adata: pp.spot_semantics(adata, model="nowhere/none"),
    "tl.semst": semst,
    "tl.domains": lambda adata: tl.domains(adata, 3),
    "tl.leiden_domains": lambda adata: tl.leiden_domains(adata, 3),
    "tl.n_domains": tl.n_domains,
    "tl.refine": tl.refine,
    "tl.modulate": modulate,
    "tl.semantic_drivers": tl.semantic_drivers,
    "pl.domains": lambda adata: pl.domains(adata, show=False),
    "pl.semantics": lambda adata: pl.semantics(adata, show=False),
    "pl.domain_genes": lambda adata: pl.domain_genes(adata, show=False),
    "pl.abundance": lambda adata: pl.abundance(adata, "ground_truth", show=False),
    "pl.modulation": lambda adata: pl.modulation(adata, show=False),
    "pl.n_domains": lambda adata: pl.n_domains(adata, show=False),
    "pl.training": lambda adata: pl.training(adata, show=False),
}
NOT_ADATA = [
    Case(
        f"{name}: a path",
        call,
        TypeError,
        r"adata must be an AnnData or a SpatialData object, found str.*anndata\.read_h5ad",
        lambda a: "x.h5ad",
    )
    for name, call in FUNCTIONS.items()
] + [
    Case("tl.semst: a matrix", semst, TypeError, "found csr_matrix", lambda a: a.X),
    Case("pp.gene_semantics: a data frame", pp.gene_semantics, TypeError, "found DataFrame", lambda a: a.to_df()),
    Case("tl.domains: None", lambda a: tl.domains(None, 3), TypeError, "found NoneType"),
    Case("tl.predict: a path", lambda a: tl.predict("x.h5ad", model()), TypeError, "found str"),
    Case("SemST.from_adata: a path", lambda a: scsemst.SemST.from_adata("x.h5ad", 3), TypeError, "found str"),
]

EMPTY = [
    Case("tl.semst: no spots", semst, ValueError, "adata has no spots", lambda a: a[:0].copy()),
    Case("tl.semst: no genes", semst, ValueError, "adata has no genes", lambda a: a[:, :0].copy()),
    Case("tl.semst: one spot", lambda a: semst(a, 1), ValueError, rf"no edges.*{GRAPH_FIX}", lambda a: a[:1].copy()),
    Case("pp.gene_semantics: no spots", pp.gene_semantics, ValueError, "adata has no spots", lambda a: a[:0].copy()),
    Case("pp.gene_semantics: no genes", pp.gene_semantics, ValueError, "adata has no genes", lambda a: a[:, :0].copy()),
    Case("tl.domains: no spots", lambda a: tl.domains(a, 1), ValueError, "adata has no spots", lambda a: a[:0].copy()),
    Case("tl.leiden_domains: no spots", lambda a: tl.leiden_domains(a), ValueError, "no spots", lambda a: a[:0].copy()),
    Case("tl.leiden_domains: one spot", lambda a: tl.leiden_domains(a), ValueError, "one spot", lambda a: a[:1].copy()),
    Case("tl.modulate: no spots", modulate, ValueError, "adata has no spots", lambda a: a[:0].copy()),
    Case("pl.domains: no spots", lambda a: pl.domains(a, show=False), ValueError, "no spots", lambda a: a[:0].copy()),
    Case("tl.n_domains: no spots", lambda a: tl.n_domains(a), ValueError, "no spots", lambda a: a[:0].copy()),
]  # fmt: skip

# --- counts -----------------------------------------------------------------------------------------------------------
COUNTS = [
    Case("semst: logarithms", semst, ValueError, r'adata\.X holds values that are not counts.*layer=.*likelihood="gaussian"', scaled),
    Case("semst: a negative count", semst, ValueError, r"adata\.X has negative values \(minimum -1\).*layer=", first_count(-1)),
    Case("semst: NaN", semst, ValueError, r"adata\.X has 1 NaN or infinite values.*Remove", first_count(np.nan)),
    Case("semst: inf", semst, ValueError, r"adata\.X has 1 NaN or infinite values", first_count(np.inf)),
    Case("semst, gaussian: NaN", lambda a: semst(a, likelihood="gaussian"), ValueError, r"adata\.X has 1 NaN", first_count(np.nan)),
    Case("semst: half a count", semst, ValueError, r"not counts \(0\.5 among them\)", first_count(0.5)),
    Case("semst: complex numbers", semst, TypeError, r"adata\.X holds values of type complex64, not numbers", first_count(1j, np.complex64)),
    Case("semst: strings", semst, TypeError, r"adata\.X holds", lambda a: _with_x(a, np.full(a.shape, "1"))),
    Case("semst: counts beyond float32", semst, ValueError, r"adata\.X has values up to 3e\+09, too large for counts \(at most 16777216", first_count(3e9, np.float64)),
    Case("semst: empty spots", semst, ValueError, r"adata\.X has 2 empty spots.*scanpy\.pp\.filter_cells", empty_spots),
    Case("semst: all zero", semst, ValueError, rf"{N} empty spots", all_zero),
    Case("semst: no X", semst, ValueError, r"adata\.X is None \(layers: 'counts'\).*layer=", lambda a: _with_x(a, None)),
    Case("semst: layer", lambda a: semst(a, layer="raw"), KeyError, r"adata\.layers\['raw'\] not found \(available: 'counts'\)"),
    Case("semst: layer by number", lambda a: semst(a, layer=0), TypeError, r"layers.*must be a string, found 0"),
    Case("modulate: logarithms", modulate, ValueError, r"adata\.X holds values that are not counts", scaled),
    Case("modulate: empty spots", modulate, ValueError, r"2 empty spots.*filter_cells", empty_spots),
    Case("modulate: NaN", modulate, ValueError, r"adata\.X has 1 NaN", first_count(np.nan)),
    Case("gene_semantics: negative", pp.gene_semantics, ValueError, r"adata\.X has negative values \(minimum -2\).*layer=", first_count(-2)),
    Case("gene_semantics: NaN", pp.gene_semantics, ValueError, r"adata\.X has 1 NaN", first_count(np.nan)),
    Case("gene_semantics: inf", pp.gene_semantics, ValueError, r"adata\.X has 1 NaN or inf", first_count(np.inf)),
    Case("gene_semantics: all zero", pp.gene_semantics, ValueError, rf"adata\.X has no counts: all {N} spots are empty", all_zero),
    Case("gene_semantics: layer", lambda a: pp.gene_semantics(a, layer="raw"), KeyError, r"layers\['raw'\] not found \(available: 'counts'\)"),
    Case("gene_semantics: layer, NaN", lambda a: pp.gene_semantics(a, layer="counts"), ValueError, r"adata\.layers\['counts'\] has 1 NaN", lambda a: _set(a.layers["counts"].data, 0, np.nan)),
    Case("gene_semantics: target_sum", lambda a: pp.gene_semantics(a, target_sum=0), ValueError, "target_sum must be positive and finite, found 0"),
    Case("gene_semantics: target_sum text", lambda a: pp.gene_semantics(a, target_sum="1e4"), TypeError, "target_sum.*'1e4'"),
    Case("domain_genes: negative counts", lambda a: pl.domain_genes(a, show=False), ValueError, "negative values", first_count(-1)),
    Case("domain_genes: NaN", lambda a: pl.domain_genes(a, show=False), ValueError, r"adata\.X has 1 NaN", first_count(np.nan)),
    Case("semantic_drivers: counts changed", drivers, ValueError, rf"X_gene_semantics.*counts have changed.*{SEMANTICS_FIX}", lambda a: _with_x(a, a.X[::-1].copy())),
]  # fmt: skip

# --- names of spots and genes -----------------------------------------------------------------------------------------
NAMES = [
    Case("semst: genes twice", semst, ValueError, r"var_names has duplicates \('.+' among them\).*var_names_make_unique", names("var_names", second_twice)),
    Case("semst: spots twice", semst, ValueError, r"obs_names_make_unique", names("obs_names", lambda a: [a.obs_names[1], *a.obs_names[1:]])),
    Case("gene_semantics: genes twice", pp.gene_semantics, ValueError, r"var_names_make_unique", names("var_names", second_twice)),
    Case("gene_semantics: unknown genes", pp.gene_semantics, ValueError, r"organism cannot be told.*'probe_0'.*organism=", names("var_names", unknown)),
    Case("gene_semantics: unknown genes, human", lambda a: pp.gene_semantics(a, organism="human"), ValueError, rf"None of the {G} genes was found \(organism: human.*'probe_0'.*gene_symbols=", names("var_names", unknown)),
    Case("gene_semantics: numbers as names", pp.gene_semantics, ValueError, r"organism cannot be told.*'0', '1'", names("var_names", lambda a: [str(i) for i in range(a.n_vars)])),
    Case("gene_semantics: few genes known", lambda a: pp.gene_semantics(a, organism="human"), ValueError, "1 of 150 genes.*too few.*organism=.*gene_symbols=", names("var_names", lambda a: ["GFAP", *unknown(a)[1:]])),
    Case("gene_semantics: another organism", lambda a: pp.gene_semantics(a, organism="zebrafish"), ValueError, "organism='zebrafish' is not one of 'human', 'mouse'"),
    Case("gene_semantics: column of symbols", lambda a: pp.gene_semantics(a, gene_symbols="symbol"), KeyError, r"adata\.var\['symbol'\] not found.*gene_symbols=None"),
    Case("gene_semantics: options of an encoder", lambda a: pp.gene_semantics(a, pooling="mean"), TypeError, "pooling: for a language model"),
    Case("gene_semantics: a table without our genes", lambda a: pp.gene_semantics(a, model=pd.DataFrame(np.eye(2), ["x1", "x2"])), ValueError, "None of the 150 genes was found"),
    Case("gene_semantics: a table with NaN", lambda a: pp.gene_semantics(a, model={"GFAP": [1.0, np.nan]}), ValueError, "NaN or infinite values"),
    Case("gene_semantics: a table beyond single precision", lambda a: pp.gene_semantics(a, model={"GFAP": [1.0, 1e300]}), ValueError, "NaN or infinite values, in single precision"),
    Case("gene_semantics: vectors of two lengths", lambda a: pp.gene_semantics(a, model={"GFAP": [1.0], "MBP": [1.0, 2.0]}), ValueError, "all of one length"),
    Case("gene_semantics: an empty table", lambda a: pp.gene_semantics(a, model=pd.DataFrame()), ValueError, "no vectors"),
    Case("gene_semantics: no such file", lambda a: pp.gene_semantics(a, model="none.parquet"), FileNotFoundError, "'none.parquet'.*no such file"),
    Case("gene_semantics: a pickle", lambda a: pp.gene_semantics(a, model=__file__.replace(".py", ".pkl")), FileNotFoundError, "no such file"),
    Case("gene_semantics: a number", lambda a: pp.gene_semantics(a, model=5), TypeError, "model=5.*'bundled'"),
    Case("gene_semantics: template", lambda a: pp.gene_semantics(a, model="/nowhere", template="{colour}"), ValueError, "no such folder"),
    Case("spot_semantics: no such model", lambda a: pp.spot_semantics(a, model="/nowhere"), ValueError, "model='/nowhere': there is no such folder"),
    Case("spot_semantics: no genes", lambda a: pp.spot_semantics(a, model="/nowhere", n_top_genes=0), ValueError, "n_top_genes must be at least 1, found 0"),
    Case("spot_semantics: preset", lambda a: pp.spot_semantics(a, model="/nowhere", preset="best"), ValueError, "preset='best' is not one of None, 'paper'"),
    Case("spot_semantics: ranking", lambda a: pp.spot_semantics(a, model="/nowhere", rank_by="size"), ValueError, "rank_by='size' is not one of 'deviance'"),
    Case("spot_semantics: all zero", lambda a: pp.spot_semantics(a, model="/nowhere"), ValueError, "No spot has any counts", all_zero),
    Case("spot_semantics: negative", lambda a: pp.spot_semantics(a, model="/nowhere"), ValueError, r"adata\.X has negative", first_count(-1)),
]  # fmt: skip

# --- the spatial graph ------------------------------------------------------------------------------------------------
GRAPH = "spatial_connectivities"
GRAPHS = [
    Case("semst: no graph", semst, KeyError, rf"obsp\['{GRAPH}'\] not found \(available: 'spatial_distances'\).*{GRAPH_FIX}", drop("obsp", GRAPH)),
    Case("semst: empty graph", semst, ValueError, rf"obsp\['{GRAPH}'\] has no edges.*{GRAPH_FIX}", put("obsp", GRAPH, lambda a: sparse.csr_matrix((N, N)))),
    Case("semst: self-loops only", semst, ValueError, "no edges between different spots", put("obsp", GRAPH, lambda a: sparse.eye(N, format="csr"))),
    Case("semst: negative weights", semst, ValueError, rf"negative, NaN or infinite weights.*{GRAPH_FIX}", put("obsp", GRAPH, lambda a: -a.obsp[GRAPH])),
    Case("semst: NaN weights", semst, ValueError, "negative, NaN or infinite weights", put("obsp", GRAPH, lambda a: a.obsp[GRAPH] * np.nan)),
    Case("semst: graph key None", lambda a: semst(a, neighbors_key=None), TypeError, r"adata\.obsp must be a string, found None"),
    Case("refine: no graph", tl.refine, KeyError, rf"{GRAPH}.*{GRAPH_FIX}", drop("obsp", GRAPH)),
    Case("refine: no labels", lambda a: tl.refine(a, key="leiden"), KeyError, rf"obs\['leiden'\] not found \(available: 'ground_truth'.*{SEMST_FIX}"),
    Case("refine: rounds", lambda a: tl.refine(a, n_iter=0), ValueError, "n_iter must be at least 1, found 0"),
    Case("refine: numbers as labels", lambda a: tl.refine(a, key="depth"), TypeError, r"obs\['depth'\] holds numbers", put("obs", "depth", lambda a: np.linspace(0, 1, N))),
]  # fmt: skip

# --- numbers of domains and other options -----------------------------------------------------------------------------
AUTO = (ValueError, "n_domains='7' is not one of 'auto'")
K = [
    Case(f"{name}: {value!r} domains", lambda a, call=call, value=value: call(a, value), error, message)
    for name, call in (("semst", semst), ("domains", tl.domains), ("leiden_domains", tl.leiden_domains))
    for value, error, message in (
        (0, ValueError, rf"n_domains must be between 1 and {N}, found 0"),
        (-1, ValueError, "found -1"),
        (N + 1, ValueError, rf"n_domains must be between 1 and {N}, found {N + 1}"),
        (2.5, TypeError, r"n_domains must be a whole number.*found 2\.5 of type float"),
        ("7", *(AUTO if call is semst else (TypeError, "n_domains must be a whole number, found '7' of type str"))),
        (True, TypeError, "found True of type bool"),
        ([3], TypeError, r"found \[3\] of type list"),
    )
] + [
    Case("domains: None", lambda a: tl.domains(a, None), TypeError, "n_domains must be a whole number, found None"),
    Case("n_domains: text", lambda a: tl.n_domains(a, "7"), TypeError, "candidates"),
    Case("n_domains: a number", lambda a: tl.n_domains(a, 7), TypeError, "candidates.*found 7"),
    Case("n_domains: none", lambda a: tl.n_domains(a, []), ValueError, "candidates is empty"),
    Case("n_domains: too many", lambda a: tl.n_domains(a, [50]), ValueError, f"fewer than 40 of the {N} spots"),
    Case("n_domains: repeats", lambda a: tl.n_domains(a, [2], n_repeats=1), ValueError, "n_repeats must be at least 2"),
    Case("domains: like spots", lambda a: tl.domains(a, 3, use_rep="flat"), ValueError, r"n_domains=3 is more than the 1 distinct rows.*fewer", put("obsm", "flat", lambda a: np.ones((N, 2)))),
    Case("semst: likelihood", lambda a: semst(a, likelihood="binomial"), ValueError, "likelihood='binomial' is not one of 'zinb'"),
    Case("semst: preset", lambda a: semst(a, preset="best"), ValueError, "preset='best' is not one of 'default', 'paper'"),
    Case("semst: preset list", lambda a: semst(a, preset=["paper"]), ValueError, r"preset=\['paper'\] is not one of"),
    Case("semst: device", lambda a: semst(a, device="abacus"), ValueError, "device='abacus' is not available here.*'cpu'"),
    Case("semst: epochs", lambda a: semst(a, epochs=0), ValueError, "epochs must be at least 1, found 0"),
    Case("semst: n_latent", lambda a: semst(a, n_latent=2.0), TypeError, r"n_latent must be a whole number, found 2\.0"),
    Case("semst: batch_size", lambda a: semst(a, batch_size=-5), ValueError, "batch_size must be at least 1, found -5"),
    Case("semst: n_top_genes", lambda a: semst(a, n_top_genes=None), TypeError, "n_top_genes must be a whole number, found None"),
    Case("semst: rng", lambda a: semst(a, rng="lucky"), TypeError, "rng must be.*found 'lucky'"),
    Case("semst: negative rng", lambda a: semst(a, rng=-1), ValueError, "rng must be.*found -1"),
    Case("semst: no such column of slices", lambda a: semst(a, batch_key="slice"), KeyError, r"obs\['slice'\] not found.*batch_key="),
    Case("semst: one slice only", lambda a: semst(a, batch_key="one"), ValueError, r"obs\['one'\] names one slice only.*batch_key=", put("obs", "one", lambda a: pd.Categorical(["x"] * N))),
    Case("semst: slices without a name", lambda a: semst(a, batch_key="gaps"), ValueError, r"obs\['gaps'\] is NaN for 60 of 120 spots", put("obs", "gaps", lambda a: pd.Categorical(["x"] * 60 + [np.nan] * 60))),
    Case("semst: harmony without slices", lambda a: semst(a, integrate="harmony"), ValueError, "integrate='harmony'.*batch_key="),
    Case("semst: folder of checkpoints", lambda a: semst(a, checkpoint_dir=5), TypeError, "checkpoint_dir must be a path, found 5"),
    Case("semst: checkpoints of a random seed", lambda a: semst(a, checkpoint_dir="/tmp/none", rng=None), ValueError, "rng=None.*checkpoint_dir="),
    Case("semst: precision", lambda a: semst(a, precision="float8"), ValueError, "precision='float8' is not one of"),
    Case("semst: key_added", lambda a: semst(a, key_added=None), TypeError, "key_added must be a string, found None"),
    Case("domains: key_added", lambda a: tl.domains(a, 3, key_added=3), TypeError, "key_added must be a string, found 3"),
    Case("domains: rng", lambda a: tl.domains(a, 3, rng=1.5), TypeError, r"rng must be.*found 1\.5"),
    Case("domains: n_init", lambda a: tl.domains(a, 3, n_init=0), ValueError, "n_init must be at least 1, found 0"),
    Case("leiden_domains: n_neighbors", lambda a: tl.leiden_domains(a, n_neighbors=0), ValueError, "n_neighbors must be"),
    Case("leiden_domains: resolution", lambda a: tl.leiden_domains(a, resolution=-1), ValueError, "resolution must be.*found -1"),
    Case("leiden_domains: resolution NaN", lambda a: tl.leiden_domains(a, resolution=np.nan), ValueError, "resolution must be.*found nan"),
    Case("modulate: semantic_hops", lambda a: modulate(a, semantic_hops=-1), ValueError, "semantic_hops must be at least 0, found -1"),
    Case("modulate: learning_rate", lambda a: modulate(a, learning_rate=0), ValueError, "learning_rate must be positive and finite, found 0"),
    Case("modulate: key_added", lambda a: modulate(a, key_added="X_semst"), ValueError, "key_added='X_semst' would overwrite"),
    Case("modulate: hidden_channels", lambda a: modulate(a, hidden_channels="64"), TypeError, "hidden_channels must be a whole number, found '64'"),
]  # fmt: skip

# --- representations and semantics ------------------------------------------------------------------------------------
REPRESENTATIONS = [
    Case("domains: no representation", lambda a: tl.domains(a, 3, use_rep="X_pca"), KeyError, rf"obsm\['X_pca'\] not found \(available: 'spatial'.*{SEMST_FIX}"),
    Case("domains: use_rep None", lambda a: tl.domains(a, 3, use_rep=None), TypeError, r"adata\.obsm must be a string, found None"),
    Case("domains: NaN", lambda a: tl.domains(a, 3), ValueError, r"obsm\['X_semst'\] has 1 NaN", with_nan("obsm", "X_semst")),
    Case("domains: strings", lambda a: tl.domains(a, 3, use_rep="s"), TypeError, r"obsm\['s'\] holds .* not numbers", put("obsm", "s", string_matrix)),
    Case("domains: three axes", lambda a: tl.domains(a, 3, use_rep="c"), ValueError, r"obsm\['c'\] must be spots × features, found shape \(120, 2, 2\)", put("obsm", "c", lambda a: np.ones((N, 2, 2)))),
    Case("domains: no columns", lambda a: tl.domains(a, 3, use_rep="c"), ValueError, r"obsm\['c'\] must be spots × features, found shape \(120, 0\)", put("obsm", "c", lambda a: np.ones((N, 0)))),
    Case("leiden_domains: NaN", lambda a: tl.leiden_domains(a, 3), ValueError, r"obsm\['X_semst'\] has 1 NaN", with_nan("obsm", "X_semst")),
    Case("leiden_domains: strings", lambda a: tl.leiden_domains(a, 3, use_rep="s"), TypeError, r"obsm\['s'\] holds", put("obsm", "s", string_matrix)),
    Case("n_domains: NaN", lambda a: tl.n_domains(a, [2]), ValueError, r"obsm\['X_semst'\] has 1 NaN", with_nan("obsm", "X_semst")),
    Case("n_domains: three axes", lambda a: tl.n_domains(a, [2], use_rep="c"), ValueError, "must be spots × features", put("obsm", "c", lambda a: np.ones((N, 2, 2)))),
    Case("semst: no semantics", semst, KeyError, rf"obsm\['X_gene_semantics'\] not found.*{SEMANTICS_FIX}.*semantics_key=None", drop("obsm", "X_gene_semantics")),
    Case("semst: NaN semantics", semst, ValueError, r"obsm\['X_gene_semantics'\] has 1 NaN", with_nan("obsm", "X_gene_semantics")),
    Case("semst: semantics all alike", semst, ValueError, r"X_gene_semantics.*same for every spot", put("obsm", "X_gene_semantics", lambda a: np.ones((N, 9)))),
    Case("semst: semantics as text", lambda a: semst(a, semantics_key="s"), TypeError, r"obsm\['s'\] holds", put("obsm", "s", string_matrix)),
    Case("semst: semantics by number", lambda a: semst(a, semantics_key=3), TypeError, "must be a string, found 3"),
    Case("modulate: no embedding", lambda a: modulate(a, "X_scVI"), KeyError, r"obsm\['X_scVI'\] not found \(available.*use_rep="),
    Case("modulate: constant embedding", lambda a: modulate(a, "c"), ValueError, r"obsm\['c'\] is the same for every spot", put("obsm", "c", lambda a: np.ones((N, 3)))),
    Case("modulate: NaN embedding", modulate, ValueError, r"obsm\['X_semst'\] has 1 NaN", with_nan("obsm", "X_semst")),
    Case("semantic_drivers: no run", lambda a: drivers(a, modulation_key="run"), KeyError, rf"uns\['run'\] not found.*{SEMST_FIX}"),
    Case("semantic_drivers: not a run", lambda a: drivers(a, modulation_key="n"), KeyError, r"uns\['n'\] has no 'fsm'", put("uns", "n", lambda a: 5)),
    Case("semantic_drivers: one domain", drivers, ValueError, r"obs\['semst'\] has fewer than two domains", put("obs", "semst", lambda a: pd.Categorical(["0"] * N))),
    Case("semantic_drivers: no gene vectors", drivers, KeyError, rf"varm\['X_gene_semantics'\] not found.*{SEMANTICS_FIX}", drop("varm", "X_gene_semantics")),
    Case("semantic_drivers: n_genes", lambda a: drivers(a, n_genes=0), ValueError, "n_genes must be at least 1, found 0"),
]  # fmt: skip


def model() -> scsemst.SemST:
    """Return a model trained on the corner, once."""
    from .slices import corner

    if not _MODEL:
        _MODEL.append(scsemst.SemST.from_adata(corner(), 3, epochs=1, progress=False))
    return _MODEL[0]


_MODEL: list[scsemst.SemST] = []

PREDICT = [
    Case("predict: a folder", lambda a: tl.predict(a, "folder"), TypeError, r"model must be a scsemst\.SemST, found str.*SemST\.load"),
    Case("predict: no shared genes", lambda a: tl.predict(a, model(), through="genes"), ValueError, r"none of the model's \d+ genes.*'probe_0'", names("var_names", unknown)),
    Case("predict: no graph", lambda a: tl.predict(a, model()), KeyError, GRAPH_FIX, drop("obsp", GRAPH)),
    Case("predict: logarithms", lambda a: tl.predict(a, model()), ValueError, "not counts", scaled),
    Case("predict: way", lambda a: tl.predict(a, model(), through="magic"), ValueError, "through='magic' is not one of 'auto'"),
    Case("predict: share", lambda a: tl.predict(a, model(), min_share=0), ValueError, "min_share must be positive and finite, found 0"),
    Case("predict: share as text", lambda a: tl.predict(a, model(), min_share="0.3"), TypeError, "min_share must be.*found '0.3'"),
    Case("predict: semantics of another size", lambda a: tl.predict(a, model()), ValueError, "dimension 9", put("obsm", "X_gene_semantics", lambda a: np.random.default_rng(0).random((N, 9)))),
    Case("predict: no spots", lambda a: tl.predict(a, model()), ValueError, "no spots", lambda a: a[:0].copy()),
    Case("predict: NaN", lambda a: tl.predict(a, model()), ValueError, r"adata\.X has 1 NaN", first_count(np.nan)),
    Case("from_adata: copy", lambda a: scsemst.SemST.from_adata(a, 3, copy=True), TypeError, r"takes no copy=.*adata\.copy\(\)"),
    Case("from_adata: typo", lambda a: scsemst.SemST.from_adata(a, 3, epoch=1), TypeError, "epoch"),
    Case("load: nowhere", lambda a: scsemst.SemST.load("/nowhere"), FileNotFoundError, r"no folder '/nowhere'.*model\.save"),
    Case("load: None", lambda a: scsemst.SemST.load(None), TypeError, "folder"),
]  # fmt: skip

# --- plots ------------------------------------------------------------------------------------------------------------
COLOURS = ["red", "green", "no such colour"]
PLOTS = [
    Case("pl.domains: no labels", lambda a: pl.domains(a, "leiden", show=False), KeyError, rf"obs\['leiden'\] not found.*{SEMST_FIX}"),
    Case("pl.domains: numbers", lambda a: pl.domains(a, "depth", show=False), TypeError, r"obs\['depth'\] holds numbers of type float64, not labels", put("obs", "depth", lambda a: np.linspace(0, 1, N))),
    Case("pl.domains: no coordinates", lambda a: pl.domains(a, show=False), KeyError, r"obsm\['spatial'\] not found.*spatial_key=", drop("obsm", "spatial")),
    Case("pl.domains: NaN coordinates", lambda a: pl.domains(a, show=False), ValueError, r"obsm\['spatial'\] has 1 NaN", with_nan("obsm", "spatial")),
    Case("pl.domains: one coordinate", lambda a: pl.domains(a, show=False), ValueError, r"obsm\['spatial'\].*two or three.*found shape \(120, 1\)", put("obsm", "spatial", lambda a: np.ones((N, 1)))),
    Case("pl.domains: colours", lambda a: pl.domains(a, palette=COLOURS, show=False), ValueError, "palette.*'no such colour' is no colour"),
    Case("pl.domains: colormap", lambda a: pl.domains(a, palette="rainbows", show=False), ValueError, "palette='rainbows' is no colormap"),
    Case("pl.domains: few colours", lambda a: pl.domains(a, palette=["red"], show=False), ValueError, r"palette has 1 colours, but adata\.obs\['semst'\] has 3"),
    Case("pl.domains: colours by label", lambda a: pl.domains(a, palette={"0": "red"}, show=False), ValueError, r"palette has no colour for \['1', '2'\]"),
    Case("pl.domains: a number as palette", lambda a: pl.domains(a, palette=7, show=False), TypeError, "palette.*found 7"),
    Case("pl.domains: titles", lambda a: pl.domains(a, title=["a", "b"], show=False), ValueError, "title has 2 entries, but 1 panels"),
    Case("pl.domains: axes", lambda a: pl.domains(a, ax=[], show=False), ValueError, "ax has 0 axes, but 1 panels"),
    Case("pl.domains: key None", lambda a: pl.domains(a, None, show=False), TypeError, r"key must be.*found None"),
    Case("pl.domains: no keys", lambda a: pl.domains(a, [], show=False), ValueError, "key is empty"),
    Case("pl.domains: slices", lambda a: pl.domains(a, library_key="slice", show=False), KeyError, r"obs\['slice'\] not found.*library_key="),
    Case("pl.domains: ncols", lambda a: pl.domains(a, ncols=0, show=False), ValueError, "ncols must be at least 1, found 0"),
    Case("pl.semantics: no vectors", lambda a: pl.semantics(a, show=False), KeyError, SEMANTICS_FIX, drop("obsm", "X_gene_semantics")),
    Case("pl.semantics: NaN", lambda a: pl.semantics(a, show=False), ValueError, r"obsm\['X_gene_semantics'\] has 1 NaN", with_nan("obsm", "X_gene_semantics")),
    Case("pl.semantics: method", lambda a: pl.semantics(a, method="tsne", show=False), ValueError, "method='tsne' is not one of 'pca', 'umap'"),
    Case("pl.domain_genes: n_genes", lambda a: pl.domain_genes(a, n_genes=0, show=False), ValueError, rf"n_genes must be between 1 and {G}, found 0"),
    Case("pl.domain_genes: method", lambda a: pl.domain_genes(a, method="guess", show=False), ValueError, "method='guess' is not one of"),
    Case("pl.domain_genes: one domain", lambda a: pl.domain_genes(a, show=False), ValueError, "fewer than two domains", put("obs", "semst", lambda a: pd.Categorical(["0"] * N))),
    Case("pl.domain_genes: layer", lambda a: pl.domain_genes(a, layer="raw", show=False), KeyError, r"layers\['raw'\] not found"),
    Case("pl.abundance: no samples", lambda a: pl.abundance(a, "slice", show=False), KeyError, r"obs\['slice'\] not found"),
    Case("pl.modulation: none", lambda a: pl.modulation(a, "X_pca", show=False), KeyError, r"uns\['X_pca'\] not found.*scsemst\.tl\.modulate"),
    Case("pl.modulation: feature", lambda a: pl.modulation(a, "X_semst_semst", dims=[999], show=False), ValueError, r"dims must be between 0 and \d+, found 999"),
    Case("pl.modulation: no features", lambda a: pl.modulation(a, "X_semst_semst", dims=[], show=False), ValueError, "dims is empty"),
    Case("pl.modulation: colormap", lambda a: pl.modulation(a, "X_semst_semst", cmap="hot dog", show=False), ValueError, "hot dog"),
    Case("pl.n_domains: none", lambda a: pl.n_domains(a, show=False), KeyError, r"uns\['n_domains'\] not found.*scsemst\.tl\.n_domains", drop("uns", "n_domains")),
    Case("pl.n_domains: another record", lambda a: pl.n_domains(a, "semst", show=False), KeyError, r"uns\['semst'\] has no 'scores'.*tl\.n_domains"),
    Case("pl.training: no run", lambda a: pl.training(a, "x", show=False), KeyError, rf"uns\['x'\] not found.*{SEMST_FIX}"),
    Case("pl.training: another record", lambda a: pl.training(a, "n_domains", show=False), KeyError, r"uns\['n_domains'\] has no 'history'"),
    Case("pl.training: axes", lambda a: pl.training(a, ax=[], show=False), ValueError, "ax has 0 axes"),
]  # fmt: skip

# --- metrics ----------------------------------------------------------------------------------------------------------
LABELS = np.repeat(["a", "b"], 10)
COORDS = np.random.default_rng(0).random((20, 2))
NAN = np.where(np.arange(20)[:, None] == 3, np.nan, COORDS)
METRICS = [
    Case("ari: lengths", lambda a: metrics.ari(LABELS, LABELS[:5]), ValueError, r"one entry per spot, found lengths \[5, 20\]"),
    Case("ari: no labels", lambda a: metrics.ari([np.nan] * 20, LABELS), ValueError, "No spot has a label"),
    Case("nmi: nothing", lambda a: metrics.nmi([], []), ValueError, "No spot has a label"),
    Case("homogeneity: a scalar", lambda a: metrics.homogeneity(3, LABELS), ValueError, r"one entry per spot, found shape \(\)"),
    Case("completeness: a matrix", lambda a: metrics.completeness(COORDS, LABELS), ValueError, r"one entry per spot, found shape \(20, 2\)"),
    Case("ari: None", lambda a: metrics.ari(None, LABELS), ValueError, "one entry per spot"),
    Case("chaos: NaN coordinates", lambda a: metrics.chaos(LABELS, NAN), ValueError, r"coords has 2 NaN"),
    Case("chaos: one axis", lambda a: metrics.chaos(LABELS, COORDS[:, 0]), ValueError, r"coords must be spots × .*found shape \(20,\)"),
    Case("chaos: lonely spots", lambda a: metrics.chaos(np.arange(20), COORDS), ValueError, "Each domain has a single spot"),
    Case("chaos: text", lambda a: metrics.chaos(LABELS, np.full((20, 2), "x")), TypeError, "coords holds"),
    Case("pas: NaN coordinates", lambda a: metrics.pas(LABELS, NAN), ValueError, "coords has 2 NaN"),
    Case("pas: neighbours", lambda a: metrics.pas(LABELS, COORDS, n_neighbors=20), ValueError, "n_neighbors must be between 1 and 19, found 20"),
    Case("pas: threshold", lambda a: metrics.pas(LABELS, COORDS, threshold=6), ValueError, "threshold must be between 0 and 1, found 6"),
    Case("spatial_asw: one domain", lambda a: metrics.spatial_asw(["a"] * 20, COORDS), ValueError, "at least 2 domains.*found 1"),
    Case("spatial_asw: sample", lambda a: metrics.spatial_asw(LABELS, COORDS, n_max=0), ValueError, "n_max must be at least"),
    Case("knn_purity: NaN", lambda a: metrics.knn_purity(NAN, LABELS), ValueError, "z has 2 NaN"),
    Case("knn_purity: neighbours", lambda a: metrics.knn_purity(COORDS, LABELS, n_neighbors=0), ValueError, "n_neighbors must be between 1 and 19, found 0"),
    Case("spatial_probe: lengths", lambda a: metrics.spatial_probe(COORDS, LABELS, COORDS[:5]), ValueError, "z has 20 rows, coords 5"),
    Case("spatial_probe: NaN", lambda a: metrics.spatial_probe(NAN, LABELS, COORDS), ValueError, "z has 2 NaN"),
    Case("spatial_probe: folds", lambda a: metrics.spatial_probe(COORDS, LABELS, COORDS, n_folds=1), ValueError, "n_folds must be at least 2, found 1"),
    Case("spatial_probe: blocks", lambda a: metrics.spatial_probe(COORDS, LABELS, COORDS, n_blocks=21), ValueError, "n_blocks must be between 5 and 20, found 21"),
]  # fmt: skip


# --- unusual, yet valid -----------------------------------------------------------------------------------------------
class Valid(NamedTuple):
    """Something unusual with a documented result; `call` returns what is then true."""

    name: str
    call: Callable[[AnnData], bool]
    warns: str | None = None


def domains_of(adata: AnnData, n_domains: Any = 3, **options: Any) -> pd.Series:
    labels = semst(adata, n_domains, copy=True, **options).obs["semst"]
    assert labels.notna().all()
    return labels


def with_other_graph(adata: AnnData) -> AnnData:
    """Return the slice with the graph of the same spots in another order."""
    order = np.random.default_rng(0).permutation(adata.n_obs)
    adata.obsp[GRAPH] = adata.obsp[GRAPH][order][:, order]
    return adata


def with_twins(adata: AnnData) -> AnnData:
    """Return the slice with all spots in one place."""
    adata.obsm["spatial"][:] = 1.0
    return adata


def with_constant_genes(adata: AnnData) -> AnnData:
    x = adata.X.toarray()
    x[:, :3] = 1
    adata.X = x
    return adata


def with_versions(adata: AnnData) -> AnnData:
    """Return the slice with a few Ensembl ids with versions for names."""
    known = {"ISG15": "ENSG00000187608.10", "HES4": "ENSG00000188290.11", "GABRD": "ENSG00000187730.9"}
    adata.var_names = [known.get(name, name) for name in adata.var_names]
    return adata


VALID = [
    Valid("semst: one domain", lambda a: domains_of(a, 1).nunique() == 1),
    Valid("semst: a domain for each spot", lambda a: domains_of(a, N).nunique() == N),
    Valid("semst: numpy's integers", lambda a: domains_of(a, np.int64(4)).nunique() == 4),
    Valid("semst: graph of another slice", lambda a: domains_of(with_other_graph(a)).nunique() == 3, r"graph of another slice.*another.*order.*squidpy"),
    Valid("semst: all spots in one place", lambda a: domains_of(with_twins(a)).nunique() == 3),
    Valid("semst: constant genes", lambda a: domains_of(with_constant_genes(a)).nunique() == 3),
    Valid("semst: two genes", lambda a: domains_of(filled(a[:, most(a, 2)].copy()), 2).nunique() == 2),
    Valid("semst: one gene", lambda a: domains_of(filled(a[:, most(a, 1)].copy()), 2).nunique() == 2),
    Valid("semst: counts as whole numbers", lambda a: domains_of(_with_x(a, a.X.astype(np.int16))).equals(domains_of(a))),
    Valid("semst: counts as booleans", lambda a: domains_of(_with_x(a, a.X > 0)).nunique() == 3),
    Valid("semst: more genes asked for than there are", lambda a: domains_of(a, n_top_genes=10**6).nunique() == 3),
    Valid("gene_semantics: Ensembl versions", lambda a: pp.gene_semantics(with_versions(a), copy=True).uns["X_gene_semantics"]["n_genes_matched"] == a.uns["X_gene_semantics"]["n_genes_matched"]),
    Valid("gene_semantics: empty spots", lambda a: empty_spots(a) is None and not pp.gene_semantics(a, copy=True).obsm["X_gene_semantics"][[5, 8]].any()),
    Valid("gene_semantics: one spot", lambda a: not pp.gene_semantics(a[:1].copy(), copy=True).obsm["X_gene_semantics"].any()),
    Valid("domains: one spot", lambda a: list(tl.domains(a[:1].copy(), 1, copy=True).obs["semst"]) == ["0"]),
    Valid("refine: spots without label", lambda a: tl.refine(without_labels(a), copy=True).obs["semst_refined"].isna().sum() == 10),
    Valid("ari: one spot", lambda a: metrics.ari(["a"], ["b"]) == 1),
    Valid("chaos: three coordinates", lambda a: metrics.chaos(LABELS, np.c_[COORDS, COORDS[:, 0]]) > 0),
]  # fmt: skip


def most(adata: AnnData, n: int) -> np.ndarray:
    """Return the genes of most counts."""
    return np.argsort(-np.asarray(adata.X.sum(axis=0)).ravel())[:n]


def filled(adata: AnnData) -> AnnData:
    """Give each spot a count."""
    adata.X = adata.X.toarray() + 1
    return adata


def without_labels(adata: AnnData) -> AnnData:
    adata.obs.loc[adata.obs_names[:10], "semst"] = np.nan
    return adata


def _with_x(adata: AnnData, x: Any) -> AnnData:
    """Return the slice with another matrix."""
    other = ad.AnnData(x, obs=adata.obs.copy(), var=adata.var.copy(), uns=adata.uns, obsm=adata.obsm, varm=adata.varm)
    for key in adata.obsp:
        other.obsp[key] = adata.obsp[key]
    other.layers["counts"] = adata.X.copy()
    return other


def _set(array: np.ndarray, position: int, value: float) -> None:
    array[position] = value


CASES = [
    *NOT_ADATA, *EMPTY, *COUNTS, *NAMES, *GRAPHS, *K, *REPRESENTATIONS, *PREDICT, *PLOTS, *METRICS
]  # fmt: skip
