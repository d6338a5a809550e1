"""The naive model is the paper's mathematics, memory and time are measured, and tables say what was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.performance import data, measure, naive, pipeline, report  # noqa: E402

from scsemst import nn  # noqa: E402
from scsemst.training import PRESETS  # noqa: E402

N_SPOTS, N_GENES, N_SEMANTIC = 50, 12, 7


@pytest.fixture
def tiny():
    """Counts with zeros, two graphs, semantics."""
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(0.7, size=(N_SPOTS, N_GENES)).astype(np.float32))
    library = (np.asarray(counts.sum(axis=1)).ravel() + 20).astype(np.float32)
    graphs = []
    for density in (0.1, 0.2):
        upper = np.triu(rng.uniform(size=(N_SPOTS, N_SPOTS)) < density, k=1)
        graphs.append(sparse.csr_matrix((upper | upper.T).astype(np.float32)))
    return counts, library, *graphs, torch.from_numpy(rng.normal(size=(N_SPOTS, N_SEMANTIC)).astype(np.float32))


def paper_model() -> nn.SemST:
    """The paper's preset, with weights that leave nothing at zero."""
    preset = PRESETS["paper"]
    torch.manual_seed(0)
    likelihood = nn.ZINB(preset.decoder_channels, N_GENES, per_spot=preset.per_spot)
    model = nn.SemST(
        N_GENES,
        likelihood,
        hidden_channels=preset.hidden_channels,
        view_channels=preset.view_channels,
        n_latent=preset.n_latent,
        semantic_channels=N_SEMANTIC,
        feature_view=preset.feature_view,
        activation=preset.activation,
        latent_layers=preset.latent_layers,
        neighbor_loss=nn.NeighborLoss(exact=True, balanced=preset.balanced_neighbors),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return model


def test_naive_model_is_the_paper_preset(tiny):
    counts, library, spatial, feature, semantics = tiny
    ours, plain = paper_model(), naive.NaiveSemST(N_GENES, N_SEMANTIC)
    plain.load_state_dict(ours.state_dict())  # strict: the same parameters, all of the same shape
    assert PRESETS["paper"].neighbor_weight == naive.NEIGHBOR_WEIGHT
    assert PRESETS["paper"].redundancy_weight == naive.REDUNDANCY_WEIGHT

    x, graphs = counts.log1p(), [nn.SpotGraph(g, normalization="sym") for g in (spatial, feature)]
    encoding = ours.encode(nn.SparseInput(x), *graphs, semantics)
    edges = torch.from_numpy(np.stack(spatial.nonzero()).astype(np.int64))
    terms = ours.loss(encoding, nn.Observed(counts), torch.from_numpy(np.log(library)), edges)
    dense = [torch.from_numpy(m.toarray()) for m in (x, spatial, feature, counts)]
    outputs = plain(dense[0], naive.normalized(dense[1]), naive.normalized(dense[2]), semantics)
    expected = plain.terms(outputs, dense[3], torch.from_numpy(library), dense[1])

    torch.testing.assert_close(encoding.latent, outputs[0], rtol=1e-4, atol=1e-6)
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name], rtol=1e-5, atol=0)
    sum(terms.values()).backward()
    sum(expected.values()).backward()
    gradients = dict(plain.named_parameters())
    for name, parameter in ours.named_parameters():
        scale = gradients[name].grad.abs().max().item()
        torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-3, atol=1e-4 * scale)


def test_tiles_are_new_counts_side_by_side(cortex):
    tiled = data.tile(cortex, 2 * cortex.n_obs + 10, n_genes=20)
    assert tiled.shape == (2 * cortex.n_obs + 10, 20)
    first, second = (tiled.X[i * cortex.n_obs : (i + 1) * cortex.n_obs] for i in (0, 1))
    assert (first != second).nnz > 1000
    np.testing.assert_allclose(first.mean(), second.mean(), rtol=0.05)
    np.testing.assert_allclose(first.mean(), cortex[:, tiled.var_names].X.mean(), rtol=0.05)
    assert np.asarray(tiled.X.sum(axis=1)).min() >= 1
    assert len(np.unique(tiled.obsm["spatial"], axis=0)) == tiled.n_obs


CASE = """
import time
from benchmarks.performance.measure import step

def allocate(mib):
    kept = bytearray(64 * 2**20)
    def run():
        with step("first"):
            block = bytearray(mib * 2**20)
            block[::4096] = b"x" * len(block[::4096])
            del block
        with step("second"):
            time.sleep(0.2)
        return {"kept": len(kept)}
    return run

def fail():
    raise MemoryError("no room")
"""


def test_measure(tmp_path, monkeypatch):
    (tmp_path / "case_of_test.py").write_text(CASE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = measure.measure("case_of_test:allocate", mib=200)
    assert 195 < found["above_mib"] < 230  # not what was kept before
    assert found["kept"] == 64 * measure.MIB
    assert found["steps"]["first"]["peak_mib"] - found["steps"]["second"]["peak_mib"] > 150
    assert 0.2 <= found["steps"]["second"]["seconds"] <= found["seconds"]
    assert found["cpu_seconds"] > 0
    assert measure.measure("case_of_test:fail")["error"] == "MemoryError: no room"


def test_options():
    words = ["epochs=5", "likelihood=nb", "semantics_key=None", "n_top_genes=300"]
    assert pipeline.parse_options(words) == {
        "epochs": 5,
        "likelihood": "nb",
        "semantics_key": None,
        "n_top_genes": 300,
    }


def test_slope():
    xs = [10, 20, 40]
    assert report.slope(xs, [x**1.5 for x in xs]) == pytest.approx(1.5)
    assert report.slope([10], [1.0]) is None
    assert report.slope(xs, [1.0, None, 4.0]) == pytest.approx(1.0)


def run(seconds: float, memory: float, **values) -> dict:
    return {"seconds": seconds, "cpu_seconds": 2 * seconds, "above_mib": memory, "load": [1.0, 3.0], **values}


def test_tables_say_what_was_measured_and_nothing_else(tmp_path):
    setting = measure.setting(threads=2, options={"epochs": 5})
    fit = {
        "setting": setting,
        "rows": {"tl.semst": run(10.0, 100.0, epochs=9), "naive": run(200.0, 1000.0, epochs=9)},
        "profile": None,
    }
    steps = {"fit": {"seconds": 3.0, "cpu_seconds": 3.0, "peak_mib": 9.0}}
    scaling = {"setting": setting, "rows": [{"spots": n, **run(n / 10, n * 1.0, steps=steps)} for n in (100, 1000)]}
    scaling["rows"].append({"spots": 10_000, "error": "out of memory (killed)", "load": [1.0, 2.0]})
    for name, record in {"fit": fit, "scaling": scaling}.items():
        measure.write(name, record, tmp_path)
        assert json.loads((tmp_path / f"{name}.json").read_text())["rows"]
    page = tmp_path / "page.md"
    markers = "".join(f"<!-- performance:{name} -->\nold\n<!-- /performance:{name} -->\n" for name in report.TABLES)
    page.write_text(f"by hand\n{markers}")
    report.main(tmp_path, page)
    report.main(tmp_path, page)  # again: nothing is added twice
    text = page.read_text()
    assert text.startswith("by hand\n")
    assert text.count("| `tl.semst` | 9 | 10.0 | 20.0 | 100 | 20.0 × | 20.0 × | 10% |") == 1
    assert "| slope | 0 | 1.00 | 1.00 | 1.00 |" in text
    assert "out of memory (killed)" in text
    assert "load 1.0 to 3.0" in text
    assert text.count("old\n") == len(report.TABLES) - 3  # fit, its profile and scaling are new


def test_page_has_a_place_for_every_table():
    page = report.PAGE.read_text()
    report.fill(page, dict.fromkeys(report.TABLES, ""))  # raises if one is missing
    for path in report.RESULTS.glob("*.json"):
        record = json.loads(path.read_text())
        for name, make in report.TABLES.items():
            if report.SOURCES.get(name, name) == path.stem:
                assert make(record) in page  # the page shows the newest measurements
