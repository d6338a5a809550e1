"""The benchmark keeps labels from methods, resumes, and calculates right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import methods, run, score, settings, slices, stats, store, table  # noqa: E402
from benchmarks.accuracy.__main__ import parse  # noqa: E402

SPY = """
import json, os, sys
from pathlib import Path
import numpy as np

def run(adata, n_domains, seed):
    seen = {
        "obs": list(adata.obs), "var": list(adata.var), "uns": list(adata.uns), "obsm": list(adata.obsm),
        "layers": [name for name in adata.layers if name], "obsp": list(adata.obsp), "varm": list(adata.varm), "raw": adata.raw is not None,
        "obs_names": list(adata.obs_names[:3]), "file": str(adata.file.filename),
        "scoring": "benchmarks.accuracy.score" in sys.modules,
    }
    log = Path(os.environ["SPY_LOG"])
    log.write_text(log.read_text() + json.dumps(seen) + "\\n" if log.exists() else json.dumps(seen) + "\\n")
    if seed == 1:
        raise RuntimeError("no luck")
    if seed == 2:
        os._exit(3)
    return np.arange(adata.n_obs) % n_domains, np.asarray(adata.obsm["spatial"])
"""


@pytest.fixture
def labelled_slice(tmp_path, monkeypatch):
    """A slice with labels wherever labels could hide, and a method that writes down what it sees."""
    rng = np.random.default_rng(0)
    truth = np.repeat(["a", "b", "c", "d"], 30)
    adata = ad.AnnData(rng.poisson(3.0, size=(120, 8)).astype(np.float32))
    adata.obs_names = [f"{label}_{i}" for i, label in enumerate(truth)]
    adata.obs["ground_truth"] = pd.Categorical(truth)
    adata.obs.loc[adata.obs_names[:5], "ground_truth"] = np.nan
    adata.obs["depth_um"] = np.arange(120.0)
    adata.obsm["spatial"] = rng.normal(size=(120, 2)) + 8 * np.repeat(np.arange(4), 30)[:, None]
    adata.obsm["one_hot"] = pd.get_dummies(truth).to_numpy(dtype=float)
    adata.uns["truth"] = truth
    adata.layers["truth"] = np.tile(np.arange(120.0)[:, None], (1, 8))
    adata.raw = adata
    data = tmp_path / "data"
    data.mkdir()
    adata.write_h5ad(data / "st_mouse_olfactory_bulb_rep12.h5ad")
    (tmp_path / "spy_method.py").write_text(SPY)
    monkeypatch.setenv("SCSEMST_BENCHMARK_DATA", str(data))
    monkeypatch.setenv("SPY_LOG", str(tmp_path / "seen.jsonl"))

    class Spy(methods.Method):
        target = "spy_method:run"

    monkeypatch.setitem(methods.METHODS, "spy", Spy("Spy", "spy_method"))
    monkeypatch.setattr(run, "PYTHONPATH", [str(tmp_path)])
    return tmp_path


def seen(folder: Path) -> list[dict]:
    import json

    return [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]


def test_methods_see_no_label_runs_resume_and_failures_stay(labelled_slice, capfd):
    root = labelled_slice / "raw"
    jobs = run.grid(["spy"], ["olfactory_bulb", "demo"], ["full"], range(4))
    run.run(jobs, root=root)
    assert "Skipped" in capfd.readouterr().out  # the demo slice is not in the folder

    calls = seen(labelled_slice)
    assert len(calls) == 4  # seed 3 ran although seed 1 failed and seed 2 took the process with it
    for call in calls:
        assert call["obsm"] == ["spatial"]
        assert not any(call[part] for part in ("obs", "var", "uns", "layers", "obsp", "varm", "raw", "scoring"))
        assert call["obs_names"] == ["0", "1", "2"]
    assert [job.seed for job in store.jobs_stored(root)] == [0, 3]

    run.run(jobs, root=root)
    assert len(seen(labelled_slice)) == 4  # nothing was repeated
    run.run(jobs[:2], root=root, retry=True)
    assert len(seen(labelled_slice)) == 5  # but what failed, if asked to

    csv = labelled_slice / "scores.csv"
    scores = score.score(root, csv)
    assert scores["seed"].tolist() == [0, 3]
    assert scores["n_spots"].tolist() == [120, 120]
    assert scores["knn_purity"].min() > 0.9  # the latent is where the spots are
    assert abs(scores["ari"]).max() < 0.1  # and the labels are nonsense
    failed = pd.read_csv(labelled_slice / "scores_failed.csv")
    assert failed["seed"].tolist() == [1, 2]
    assert "no luck" in failed["reason"][0]
    assert "exit status 3" in failed["reason"][1]
    before = csv.read_text()
    for job in store.jobs_stored(root):
        job.path(root).unlink()
    (root / "runs" / "spy" / "olfactory_bulb" / "full-seed1.error.txt").unlink()
    score.score(root, csv)
    assert csv.read_text() == before  # rows outlive their runs
    kept = pd.read_csv(labelled_slice / "scores_failed.csv")
    pd.testing.assert_frame_equal(kept, failed)  # and so do failures


def test_a_failure_is_forgotten_once_the_run_succeeds(tmp_path):
    known = pd.DataFrame([("a", "s", "full", 0, "old"), ("b", "s", "full", 0, "old")], columns=[*score.KEYS, "reason"])
    known.to_csv(tmp_path / "failed.csv", index=False)
    here = pd.DataFrame([("b", "s", "full", 0, "new")], columns=known.columns)
    merged = score._merged(here, tmp_path / "failed.csv", {("a", "s", "full", 0): {}})
    assert merged.to_numpy().tolist() == [["b", "s", "full", 0, "new"]]


def test_code_that_runs_methods_never_names_the_annotation():
    folder = ROOT / "benchmarks" / "accuracy"
    files = [folder / f"{name}.py" for name in ("run", "worker", "settings", "slices", "store")]
    for file in [*files, *(folder / "methods").glob("*.py")]:
        text = file.read_text()
        assert score.ANNOTATION not in text, file
        assert "from .score" not in text, file
        assert "import score" not in text, file


def test_every_method_exists():
    for method in methods.METHODS.values():
        source = (ROOT / "benchmarks" / "accuracy" / "methods" / f"{method.module}.py").read_text()
        assert f"\ndef {method.function}(adata" in source


def test_settings_are_drawn_alike_and_say_when_they_do_not_apply(adata_counts):
    thin, rows = settings.apply(adata_counts, "depth10", 3)
    again, _ = settings.apply(adata_counts, "depth10", 3)
    other, _ = settings.apply(adata_counts, "depth10", 4)
    assert (thin.X != again.X).nnz == 0
    assert (thin.X != other.X).nnz > 0
    assert thin.X.sum() == pytest.approx(0.1 * adata_counts.X.sum(), rel=0.05)
    assert thin.n_obs == rows.size
    assert thin.X.sum(axis=1).min() > 0
    panel, _ = settings.apply(adata_counts, "panel50", 0)
    assert panel.n_vars == 50
    with pytest.raises(settings.NotApplicable, match="genes"):
        settings.apply(adata_counts, "panel300", 0)
    fractions = adata_counts.copy()
    fractions.X = fractions.X * 0.5
    with pytest.raises(settings.NotApplicable, match="not counts"):
        settings.apply(fractions, "depth3", 0)


@pytest.fixture
def adata_counts():
    from scipy import sparse

    counts = np.random.default_rng(1).poisson(2.0, size=(200, 60)).astype(np.float32)
    return slices.unlabelled(ad.AnnData(sparse.csr_matrix(counts), obsm={"spatial": np.zeros((200, 2))}))


def test_ablations_take_out_one_part_of_tl_semst():
    from benchmarks.accuracy.methods import semst, semst_ablations

    import scsemst

    adata = slices.unlabelled(scsemst.datasets.dlpfc()[:300, :400])
    labels, latent = semst.default(adata, 4, 1)
    same_labels, same_latent = semst_ablations.fit(adata, 4, 1)
    np.testing.assert_array_equal(same_latent, latent)
    np.testing.assert_array_equal(same_labels, labels)
    shuffled, again = (semst_ablations.shuffled(adata, 4, 1)[1] for _ in range(2))
    np.testing.assert_array_equal(shuffled, again)
    assert not np.array_equal(shuffled, latent)

    real, wrong = adata.copy(), adata.copy()
    semst_ablations.write_semantics(real, "real", 0)
    semst_ablations.write_semantics(wrong, "shuffled", 0)
    key = semst_ablations.SEMANTICS
    assert not np.array_equal(real.varm[key], wrong.varm[key])
    order = [np.lexsort(x.varm[key].T) for x in (real, wrong)]
    np.testing.assert_array_equal(real.varm[key][order[0]], wrong.varm[key][order[1]])  # same numbers, wrong genes


def runs_of(values: dict[tuple[str, str], list[float]], **others) -> pd.DataFrame:
    rows = [
        {"method": method, "slice": name, "seed": seed, "ari": value, **others}
        for (method, name), scores in values.items()
        for seed, value in enumerate(scores)
    ]
    return pd.DataFrame(rows)


def test_studies_weigh_alike_and_the_demo_is_left_out():
    runs = runs_of(
        {
            ("m", "her2st_B1"): [0.0, 0.2],
            ("m", "her2st_E1"): [0.3],
            ("m", "osmfish"): [0.8],
            ("m", "demo"): [1.0],
        }
    )
    result = stats.overall(runs).loc["m"]
    assert result["mean"] == pytest.approx((0.2 + 0.8) / 2)
    assert result["slices"] == 3
    assert result["n"] == 4
    assert stats.per_slice(runs).set_index("slice").loc["her2st_B1", "sd"] == pytest.approx(np.std([0, 0.2], ddof=1))


def test_pairs_share_slice_and_seed():
    runs = runs_of({("a", "osmfish"): [0.5, 0.7, 0.9], ("b", "osmfish"): [0.4, 0.4], ("b", "demo"): [0.0]})
    pairs = stats.paired(runs, "a", "b")
    assert pairs["difference"].tolist() == pytest.approx([0.1, 0.3])


def test_bootstrap_covers_and_respects_clusters():
    rng = np.random.default_rng(0)
    names = [f"slice{i}" for i in range(8)]
    hits, widths = 0, []
    for repeat in range(200):
        # Slices differ much, seeds little: the interval has to be that of eight numbers, not of forty
        effects = 0.1 + 0.05 * rng.normal(size=8)
        values = effects[:, None] + 0.01 * rng.normal(size=(8, 5))
        pairs = pd.DataFrame({"slice": np.repeat(names, 5), "difference": values.ravel()})
        result = stats.bootstrap(pairs, n_boot=500, seed=repeat)
        hits += result["low"] < 0.1 < result["high"]
        widths.append(result["high"] - result["low"])
        assert result["low"] < result["mean"] < result["high"]
    assert 0.8 < hits / 200 < 0.99  # percentile intervals of eight clusters are somewhat narrow
    assert np.mean(widths) > 3 * 0.05 / np.sqrt(8)
    constant = pd.DataFrame({"slice": ["x", "x", "y"], "difference": [0.2, 0.2, 0.4]})
    assert stats.bootstrap(constant)["mean"] == pytest.approx(0.3)  # slices weigh alike


def test_tables_from_scores(tmp_path, monkeypatch):
    runs = runs_of(
        {
            ("semst", "dlpfc_151673"): [0.6, 0.62],
            ("semst_shuffled", "dlpfc_151673"): [0.5, 0.55],
            ("ten_lines", "dlpfc_151673"): [0.5, 0.54],
            ("leiden", "osmfish"): [0.9, 0.9],
        },
        setting="full",
        n_domains=7,
        n_found=7,
        cpu_seconds=3.0,
    )
    for metric in score.METRICS:
        runs[metric] = runs["ari"]
    csv = tmp_path / "accuracy.csv"
    runs.to_csv(csv, index=False)
    failed = pd.DataFrame([("graphst", "osmfish", "full", 0, "MemoryError")], columns=[*score.KEYS, "reason"])
    failed.to_csv(tmp_path / "accuracy_failed.csv", index=False)
    page = tmp_path / "page.md"
    names = ("overall", "slices", "notes", "ablations", "hard")
    page.write_text("Words.\n" + "\n".join(f"<!-- accuracy:{n} -->\nold\n<!-- /accuracy:{n} -->" for n in names))
    table.write(csv, page, tmp_path / "strip.png")
    first = page.read_text()
    table.write(csv, page, tmp_path / "strip.png")
    assert page.read_text() == first  # tables replace tables
    assert first.startswith("Words.")
    assert "old" not in first
    assert "0.520 ± 0.028 (2)" in first
    assert "| shuffled gene vectors | +0.085 [+0.070, +0.100]" in first
    assert "Failed on osmfish: MemoryError." in first
    assert (tmp_path / "strip.png").stat().st_size > 10_000


def test_commands():
    args = parse(["run", "--only", "semst", "--slices", "ablations", "--seeds", "3", "--settings", "depth3"])
    assert args.slices == list(slices.ABLATION_SLICES)
    jobs = run.grid(args.only, args.slices, args.settings, range(args.seeds))
    assert len(jobs) == 18
    assert len(run.grid(["niche_utag"], ["demo"], ["full"], range(5))) == 1  # no seed: one run
    with pytest.raises(SystemExit):
        parse(["run", "--slices", "nowhere"])


def test_runs_from_the_command_line():
    command = [sys.executable, "-m", "benchmarks.accuracy", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "{run,score,table}" in result.stdout
