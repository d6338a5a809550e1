"""Domains on the tissue: artists, labels, colours; not pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from matplotlib.colors import to_hex

import scsemst

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes

GREY = to_hex("lightgrey")


@pytest.fixture
def labelled(adata: AnnData) -> AnnData:
    """The demo slice with six domains in "semst", some spots without."""
    codes = adata.obs["ground_truth"].cat.codes.to_numpy()
    labels = pd.Series(np.minimum(codes, 5), index=adata.obs_names).astype(str)
    adata.obs["semst"] = labels.where(np.arange(adata.n_obs) % 50 > 0).astype("category")
    return adata


def drawn_colors(ax: Axes, i: int = 0) -> list[str]:
    """Colour of each spot, in the order of drawing; collections after the first are the legend's."""
    return [to_hex(color) for color in ax.collections[i].get_facecolor()]


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_each_spot_has_the_colour_of_its_domain(labelled: AnnData):
    ax = scsemst.pl.domains(labelled, show=False)
    palette = dict(zip(labelled.obs["semst"].cat.categories, labelled.uns["semst_colors"], strict=True))
    expected = labelled.obs["semst"].astype(object).map(palette).fillna(GREY)
    assert sorted(drawn_colors(ax)) == sorted(expected)
    assert legend(ax) == [*palette, "NA"]
    assert ax.get_title() == "semst"
    assert ax.yaxis_inverted(), "as squidpy draws"
    assert all(collection.get_rasterized() for collection in ax.collections)
    np.testing.assert_allclose(ax.get_aspect(), 1)


def test_nothing_but_the_palette_is_written(labelled: AnnData):
    labelled.obs["text"] = labelled.obs["semst"].astype(str)
    before, uns = labelled.obs.copy(), set(labelled.uns)
    scsemst.pl.domains(labelled, ["semst", "text"], show=False)
    pd.testing.assert_frame_equal(labelled.obs, before)
    assert set(labelled.uns) - uns == {"semst_colors", "text_colors"}


def test_palettes(labelled: AnnData):
    labelled.uns["semst_colors"] = kept = [to_hex(plt.get_cmap("Set1")(i)) for i in range(6)]
    scsemst.pl.domains(labelled, show=False)
    assert list(labelled.uns["semst_colors"]) == kept, "a palette of the user's stays"
    scsemst.pl.domains(labelled, palette={str(i): "red" if i else "#0000ff" for i in range(6)}, show=False)
    assert list(labelled.uns["semst_colors"]) == ["#0000ff"] + ["#ff0000"] * 5
    scsemst.pl.domains(labelled, palette="tab10", show=False)
    assert labelled.uns["semst_colors"][1] == to_hex(plt.get_cmap("tab10")(1))
    labelled.uns["semst_colors"] = ["red"]
    scsemst.pl.domains(labelled, show=False)
    assert len(set(labelled.uns["semst_colors"])) == 6, "a palette of other labels is replaced"
    with pytest.raises(ValueError, match="palette has 2 colours"):
        scsemst.pl.domains(labelled, palette=["red", "blue"], show=False)


@pytest.mark.parametrize("n", [2, 11, 30, 120])
def test_any_number_of_domains(labelled: AnnData, n: int):
    labelled.obs["many"] = np.arange(labelled.n_obs) % n
    ax = scsemst.pl.domains(labelled, "many", show=False)
    assert len(set(labelled.uns["many_colors"])) == min(n, 102)
    assert GREY not in labelled.uns["many_colors"] or n > 11
    assert legend(ax) == [str(i) for i in range(n)], "natural order"


def test_annotation_beside_prediction_in_matching_colours(labelled: AnnData):
    renamed = labelled.obs["ground_truth"].cat.rename_categories(lambda name: f"z{name[-1]}")
    labelled.obs["renamed"] = renamed.cat.reorder_categories(list(renamed.cat.categories)[::-1])
    axes = scsemst.pl.domains(labelled, ["ground_truth", "renamed"], title=["expert", "ours"], show=False)
    assert [ax.get_title() for ax in axes] == ["expert", "ours"]
    assert drawn_colors(axes[0]) == drawn_colors(axes[1])


def test_over_an_image(labelled: AnnData):
    coords = labelled.obsm["spatial"]
    scale = 500 / coords.max()
    factors = {"tissue_hires_scalef": scale, "spot_diameter_fullres": 0.01 * coords.max()}
    labelled.uns["spatial"] = {"slice": {"images": {"hires": np.full((520, 520, 3), 0.9)}, "scalefactors": factors}}
    ax = scsemst.pl.domains(labelled, show=False)
    assert len(ax.images) == 1
    assert ax.yaxis_inverted()
    known = labelled.obs["semst"].notna().sum()
    assert sum(color != GREY for color in drawn_colors(ax)) == known
    assert len(scsemst.pl.domains(labelled, img=False, show=False).images) == 0


def test_each_slice_over_its_own_image(labelled: AnnData):
    coords = labelled.obsm["spatial"]
    both = ad.concat({"a": labelled, "b": labelled[:1000]}, label="slice", index_unique="-")
    factors = {"tissue_hires_scalef": 500 / coords.max(), "spot_diameter_fullres": 0.01 * coords.max()}
    both.uns["spatial"] = {
        name: {"images": {"hires": np.full((520, 520, 3), shade)}, "scalefactors": factors}
        for name, shade in (("a", 0.9), ("b", 0.5))
    }
    axes = scsemst.pl.domains(both, ["semst", "ground_truth"], library_key="slice", alpha=0.5, show=False)
    assert [ax.get_title() for ax in axes] == ["a: semst", "a: ground_truth", "b: semst", "b: ground_truth"]
    assert [float(ax.images[0].get_array()[0, 0, 0]) for ax in axes] == [0.9, 0.9, 0.5, 0.5]


def test_outlines(labelled: AnnData):
    ax = scsemst.pl.domains(labelled, outline=True, show=False)
    layers = [drawn_colors(ax, i) for i, spots in enumerate(ax.collections) if len(spots.get_offsets())]
    assert layers[0] == ["#000000"], "the outline lies below"
    assert ["#ffffff"] in layers, "then a gap"
    assert set(layers[-1]) >= set(labelled.uns["semst_colors"])
    assert all(collection.get_rasterized() for collection in ax.collections)


def test_half_a_million_spots_make_a_small_file(tmp_path: Path):
    coords = np.random.default_rng(0).random((500_000, 2)) * 6
    labels = pd.Categorical((coords.astype(int) @ [6, 1]).astype(str))
    adata = ad.AnnData(
        obs=pd.DataFrame({"semst": labels}, index=np.arange(500_000).astype(str)), obsm={"spatial": coords}
    )
    ax = scsemst.pl.domains(adata, show=False, save=tmp_path / "big.pdf")
    assert len(ax.collections[0].get_offsets()) == 500_000
    assert (tmp_path / "big.pdf").stat().st_size < 1e6


def test_one_panel_per_slice(labelled: AnnData):
    both = ad.concat([labelled, labelled[:1000]], label="slice", keys=["a", "b"], index_unique="-")
    axes = scsemst.pl.domains(both, library_key="slice", show=False)
    assert [ax.get_title() for ax in axes] == ["a: semst", "b: semst"]
    assert [len(ax.collections[0].get_offsets()) for ax in axes] == [labelled.n_obs, 1000]
    assert drawn_colors(axes[1]) == drawn_colors(axes[0])[:1000], "the same colours in all slices"


def test_ax_show_and_save(
    labelled: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    import scanpy as sc

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    figdir, autoshow = sc.settings.figdir, sc.settings.autoshow
    request.addfinalizer(lambda: (setattr(sc.settings, "figdir", figdir), setattr(sc.settings, "autoshow", autoshow)))
    sc.settings.figdir, sc.settings.autoshow = tmp_path, True
    _, ax = plt.subplots()
    assert scsemst.pl.domains(labelled, ax=ax) is ax
    assert not shown
    scsemst.pl.domains(labelled, save=True)
    scsemst.pl.domains(labelled, save="_a.png", show=False)
    scsemst.pl.domains(labelled, save=tmp_path / "folder" / "b.png", show=False)
    assert len(shown) == 1
    assert {path.name for path in tmp_path.rglob("*.*")} == {"domains.pdf", "domains_a.png", "b.png"}
    with pytest.raises(ValueError, match="ax has 1 axes, but 2 panels"):
        scsemst.pl.domains(labelled, ["semst", "ground_truth"], ax=ax)


def test_missing_keys_name_the_call(adata: AnnData):
    before = set(adata.uns)
    with pytest.raises(KeyError, match=r"semst.*ground_truth.*scsemst\.tl\.semst\(adata\)"):
        scsemst.pl.domains(adata)
    adata.obs["score"] = np.linspace(0, 1, adata.n_obs)
    with pytest.raises(TypeError, match="not labels"):
        scsemst.pl.domains(adata, "score")
    del adata.obsm["spatial"]
    with pytest.raises(KeyError, match="spatial_key="):
        scsemst.pl.domains(adata, "ground_truth")
    assert set(adata.uns) == before


def test_a_domain_without_spots_keeps_its_colour(labelled: AnnData):
    labelled.uns["semst_colors"] = ["#ff0000", "#00ff00", "#0000ff", "#ffff00", "#ff00ff", "#00ffff"]
    part = labelled[labelled.obs["semst"].isin(["0", "2", "5"])].copy()
    part.obs["semst"] = pd.Categorical(
        part.obs["semst"].astype(object), categories=labelled.obs["semst"].cat.categories
    )
    part.uns["semst_colors"] = list(labelled.uns["semst_colors"])
    ax = scsemst.pl.domains(part, show=False)
    assert set(drawn_colors(ax)) == {"#ff0000", "#0000ff", "#00ffff"}
    assert list(part.uns["semst_colors"]) == list(labelled.uns["semst_colors"])

    del part.uns["semst_colors"]
    scsemst.pl.domains(part, palette={"0": "#111111", "2": "#222222", "5": "#555555"}, show=False)
    kept = list(part.uns["semst_colors"])
    assert (len(kept), kept[0], kept[2], kept[5]) == (6, "#111111", "#222222", "#555555")


def test_a_view_stays_a_view(labelled: AnnData):
    view = labelled[:500]
    scsemst.pl.domains(view, show=False)
    assert view.is_view
    assert "semst_colors" not in view.uns


@pytest.mark.parametrize(
    "spatial",
    [
        {"is_single": True},
        {"lib": {"images": {}, "scalefactors": {}}},
        {"lib": {"images": {"lowres": np.ones((9, 9, 3))}, "scalefactors": {"tissue_lowres_scalef": 0.1}}},
    ],
)
def test_without_an_image_to_draw_there_is_none(labelled: AnnData, spatial: dict):
    labelled.uns["spatial"] = spatial
    ax = scsemst.pl.domains(labelled, show=False)
    assert not ax.images
    assert sum(len(collection.get_offsets()) for collection in ax.collections) >= labelled.n_obs


def test_the_image_that_is_there_is_drawn(labelled: AnnData):
    scales = {"tissue_lowres_scalef": 0.1, "spot_diameter_fullres": 90}
    labelled.uns["spatial"] = {
        "lib": {"images": {"lowres": np.ones((60, 60, 3))}, "scalefactors": scales},
        "version": 1,
    }
    assert len(scsemst.pl.domains(labelled, show=False).images) == 1


def test_ends_of_file_names(labelled: AnnData, tmp_path: Path):
    sc.settings.figdir, before = tmp_path, sc.settings.figdir
    try:
        scsemst.pl.domains(labelled, show=False, save="_res0.5")
        scsemst.pl.domains(labelled, show=False, save="_res0.5.svg")
    finally:
        sc.settings.figdir = before
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [f"domains_res0.5.{sc.settings.file_format_figs}", "domains_res0.5.svg"]
    part, _ = plt.figure().subfigures(1, 2)
    scsemst.pl.domains(labelled, ax=part.subplots(), show=False, save=str(tmp_path / "part.png"))
    assert (tmp_path / "part.png").exists()


@pytest.fixture
def pair(labelled: AnnData) -> AnnData:
    """Two slices, with an image each."""
    both = ad.concat({"a": labelled, "b": labelled[:1000]}, label="slice", index_unique="-")
    factors = {"tissue_hires_scalef": 0.05, "spot_diameter_fullres": 90}
    both.uns["spatial"] = {
        name: {"images": {"hires": np.full((600, 600, 3), shade)}, "scalefactors": factors}
        for name, shade in (("a", 0.9), ("b", 0.5))
    }
    return both


def test_titles_follow_the_order_of_drawing(pair: AnnData):
    keys = ["semst", "ground_truth"]
    for first in (True, False):
        axes = scsemst.pl.domains(pair, keys, library_key="slice", library_first=first, show=False)
        for ax in axes:
            library, key = ax.get_title().split(": ")
            assert float(ax.images[0].get_array()[0, 0, 0]) == {"a": 0.9, "b": 0.5}[library]
            assert set(pair.obs[key].cat.categories) <= set(legend(ax))


def test_some_of_the_slices(pair: AnnData):
    ax = scsemst.pl.domains(pair, library_key="slice", library_id="b", show=False)
    assert ax.get_title() == "b: semst"
    assert float(ax.images[0].get_array()[0, 0, 0]) == 0.5
    axes = scsemst.pl.domains(pair, library_key="slice", library_id=["b", "a"], show=False)
    assert [ax.get_title() for ax in axes] == ["b: semst", "a: semst"]
    alone = pair[pair.obs["slice"] == "b"].copy()
    assert not scsemst.pl.domains(alone, show=False).images, "which of two images is meant, nobody said"
    assert float(scsemst.pl.domains(alone, library_id="b", show=False).images[0].get_array()[0, 0, 0]) == 0.5
    with pytest.raises(ValueError, match=r"'c' not found in adata.obs\['slice'\] \(available: 'a', 'b'\)"):
        scsemst.pl.domains(pair, library_key="slice", library_id="c", show=False)
    with pytest.raises(ValueError, match=r"'c' not found in adata.uns\['spatial'\] \(available: 'a', 'b'\)"):
        scsemst.pl.domains(pair, library_id="c", show=False)
    for name in ("color", "fig"):
        with pytest.raises(TypeError, match=f"takes no {name}=. Pass key="):
            scsemst.pl.domains(pair, show=False, **{name: "semst"})


def test_palettes_of_others(labelled: AnnData):
    n = labelled.obs["semst"].nunique()
    rgb = [(i / 10, 0.2, 0.3) for i in range(n)]
    for stored in (rgb, np.array(rgb), [to_hex(color) for color in rgb]):
        labelled.uns["semst_colors"] = stored
        scsemst.pl.domains(labelled, show=False)
        assert labelled.uns["semst_colors"] == [to_hex(color) for color in rgb]
    labelled.uns["semst_colors"] = ["grey80", *["red"] * (n - 1)]  # a colour in R
    with pytest.warns(UserWarning, match=r"uns\['semst_colors'\] has what is no colour \('grey80'\)"):
        ax = scsemst.pl.domains(labelled, show=False)
    assert len(set(drawn_colors(ax))) == n + 1
    cycler = plt.cycler(color=["#ff0000", "#00ff00"])
    scsemst.pl.domains(labelled, palette=cycler, show=False)
    assert labelled.uns["semst_colors"][:3] == ["#ff0000", "#00ff00", "#ff0000"]


@pytest.mark.parametrize("kind", [int, bool, "Int64"])
def test_palettes_name_labels_of_any_type(labelled: AnnData, kind: object):
    labelled.obs["half"] = pd.array(np.arange(labelled.n_obs) % 2, dtype=kind)
    for palette in ({0: "#ff0000", 1: "#0000ff"}, {"0": "#ff0000", "1": "#0000ff"}):
        given = {bool(int(label)): color for label, color in palette.items()} if kind is bool else palette
        scsemst.pl.domains(labelled, "half", palette=given, show=False)
        assert labelled.uns["half_colors"] == ["#ff0000", "#0000ff"]
    with pytest.raises(ValueError, match=r"palette has no colour for .* \(available: 'x'\)"):
        scsemst.pl.domains(labelled, "half", palette={"x": "red"}, show=False)


def test_where_figures_go(labelled: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for save in ("./x.png", "~/y.png", "figs/"):
        scsemst.pl.domains(labelled, show=False, save=save)
    kind = sc.settings.file_format_figs
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == [f"figs/domains.{kind}", "home/y.png", "x.png"]


@pytest.mark.parametrize("entry", [True, np.zeros(2), {"a": {"images": None, "scalefactors": None}}])
def test_what_is_no_image_is_not_drawn(labelled: AnnData, entry: object):
    labelled.uns["spatial"] = entry
    assert not scsemst.pl.domains(labelled, show=False).images


def test_nothing_to_draw(labelled: AnnData):
    labelled.obs["none"] = pd.Categorical([None] * labelled.n_obs, categories=["a"])
    with pytest.raises(ValueError, match="nothing to draw"):
        scsemst.pl.domains(labelled, library_key="none", show=False)
    for keys in (("none", "semst"), ("semst", "none")):
        with pytest.raises(ValueError, match=r"obs\['none'\] is NaN for every spot"):
            scsemst.pl.abundance(labelled, keys[0], key=keys[1], show=False)
    with pytest.raises(TypeError, match="ax must be axes of matplotlib, or a list of them, found Figure"):
        scsemst.pl.domains(labelled, ax=plt.figure(), show=False)


def test_coordinates_of_mixed_types(labelled: AnnData):
    labelled.obsm["spatial"] = labelled.obsm["spatial"].astype(object)
    assert scsemst.pl.domains(labelled, show=False).get_title() == "semst"
    labelled.obsm["spatial"][0, 0] = "left"
    with pytest.raises(TypeError, match="not numbers"):
        scsemst.pl.domains(labelled, show=False)
