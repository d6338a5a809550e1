"""A SpatialData object in place of an AnnData object: its table is read and written."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np
import pytest
import spatialdata as sd
import squidpy as sq
from spatialdata.models import ShapesModel, TableModel

import scsemst

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

FUNCTIONS = {
    f"{stage}.{name}": getattr(getattr(scsemst, stage), name)
    for stage in ("pp", "tl", "pl")
    for name in getattr(scsemst, stage).__all__
}


@pytest.fixture
def part(cortex: AnnData) -> AnnData:
    """Some spots of the demo slice with squidpy's graph."""
    part = cortex[:400].copy()
    sq.gr.spatial_neighbors_knn(part, n_neighs=6)
    return part


@pytest.fixture
def sdata(part: AnnData) -> sd.SpatialData:
    """The same as circles with a table, as spatialdata-io reads Visium."""
    table = part.copy()
    table.obs["region"] = "spots"
    table.obs["region"] = table.obs["region"].astype("category")
    table.obs["spot"] = np.arange(table.n_obs)
    table = TableModel.parse(table, region="spots", region_key="region", instance_key="spot")
    return sd.SpatialData(
        shapes={"spots": ShapesModel.parse(part.obsm["spatial"], geometry=0, radius=55.0)}, tables={"table": table}
    )


def four_calls(data: AnnData | sd.SpatialData) -> None:
    scsemst.pp.gene_semantics(data)
    scsemst.tl.semst(data, n_domains=4, epochs=3, progress=False)
    scsemst.pl.domains(data, show=False)


def test_the_table_is_written_as_an_anndata_is_and_survives_zarr(part: AnnData, sdata: sd.SpatialData, tmp_path: Path):
    four_calls(part)
    scsemst.tl.refine(part)
    n = scsemst.tl.n_domains(part, [2, 3], n_repeats=2, progress=False)
    four_calls(sdata)
    scsemst.tl.refine(sdata)
    assert scsemst.tl.n_domains(sdata, [2, 3], n_repeats=2, progress=False) == n

    sdata.write(tmp_path / "slice.zarr")
    read = sd.read_zarr(tmp_path / "slice.zarr")
    for table in (sdata.tables["table"], read.tables["table"]):
        np.testing.assert_array_equal(table.obsm["X_semst"], part.obsm["X_semst"])
        np.testing.assert_array_equal(table.obsm["X_gene_semantics"], part.obsm["X_gene_semantics"])
        for key in ("semst", "semst_refined"):
            assert table.obs[key].astype(str).tolist() == part.obs[key].astype(str).tolist()
        assert list(table.uns["semst_colors"]) == list(part.uns["semst_colors"])
        np.testing.assert_array_equal(table.uns["semst"]["history"]["loss"], part.uns["semst"]["history"]["loss"])
        assert set(table.uns["semst"]) == set(part.uns["semst"])

    # What was read goes on where the other stopped
    model = scsemst.SemST.from_adata(read, n_domains=4, epochs=3, progress=False)
    assert read.tables["table"].obs["semst"].tolist() == sdata.tables["table"].obs["semst"].tolist()
    scsemst.tl.predict(read, model, key_added="predicted")
    assert set(read.tables["table"].obs["predicted"]) <= set("0123")
    assert scsemst.pl.training(read, show=False)


def test_a_table_by_its_name_and_a_copy_of_it(sdata: sd.SpatialData):
    sdata.tables["other"] = sdata.tables["table"][:300].copy()
    scsemst.pp.gene_semantics(sdata, table_key="other")
    assert "X_gene_semantics" in sdata.tables["other"].obsm
    assert "X_gene_semantics" not in sdata.tables["table"].obsm
    copied = scsemst.tl.domains(sdata, 3, use_rep="X_gene_semantics", n_init=2, table_key="other", copy=True)
    assert copied.n_obs == 300
    assert "semst" in copied.obs
    assert "semst" not in sdata.tables["other"].obs


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_missing_table_is_named_beside_those_there_are(name: str, sdata: sd.SpatialData):
    function = FUNCTIONS[name]
    required = [p.name for p in list(inspect.signature(function).parameters.values())[1:] if p.default is p.empty]
    arguments = dict.fromkeys(set(required) - {"encoder_options", "kwargs"})
    with pytest.raises(KeyError, match=r"table 'cells' not found .*available: 'table'.*table_key="):
        function(sdata, table_key="cells", **arguments)
    with pytest.raises(TypeError, match="AnnData or a SpatialData object, found dict"):
        function({}, **arguments)


def test_a_missing_table_for_a_model(sdata: sd.SpatialData):
    with pytest.raises(KeyError, match="table 'cells' not found"):
        scsemst.SemST.from_adata(sdata, n_domains=4, table_key="cells")
