"""Trials as tables of pandas, Polars and Arrow, over real HTTP."""

import sys
from pathlib import Path

import polars
import pyarrow
import pyarrow.parquet
import pytest

from service.store.interface import Store
from sweep.client import Client
from sweep.errors import QueryError, SweepError
from tests.unit.api.test_sweeps import SPEC
from tests.unit.cli.test_commands import finish


@pytest.fixture
def sweep(client: Client, store: Store) -> str:
    found = client.submit(SPEC).id
    finish(store, found)
    return found


def test_every_library_sees_the_same_columns_and_order(client: Client, sweep: str) -> None:
    trials = client.trials(sweep, filter="best > 0.3", sort="-best")
    table = trials.to_arrow()
    assert table["best"].to_pylist() == [0.75, 0.5]
    assert table.schema.field("index").type == pyarrow.int64()
    assert table.schema.field("parameters.x").type == pyarrow.float64()
    assert table.schema.field("parameters.kind").type == pyarrow.string()
    assert table.schema.field("started_at").type == pyarrow.timestamp("us", tz="UTC")
    polar, panda = trials.to_polars(), trials.to_pandas()
    assert polar.columns == list(panda.columns) == table.column_names
    assert polar["metrics.loss"].to_list() == list(panda["metrics.loss"]) == [0.25, 0.5]
    assert polar.schema["ended_at"] == polars.Datetime("us", "UTC")


def test_fields_are_selected(client: Client, sweep: str) -> None:
    rows = client.trials(sweep, sort="-best").select("index", "metrics.loss@1", "parameters")
    assert next(iter(rows)) == {
        "index": 2,
        "metrics.loss@1": 0.25,
        "parameters": {"x": 2.0, "kind": "a"},
    }
    assert rows.count() == 6
    assert rows.to_arrow().column_names == [
        *("index", "metrics.loss@1", "parameters.x", "parameters.kind")
    ]
    assert client.sweeps(filter="best > 0.7").count() == 1
    assert list(client.sweeps().select("id", "num_trials")) == [{"id": sweep, "num_trials": 6}]
    assert "parameters.kind" in {field.name for field in client.query_fields(sweep)}
    assert "tags" in {field.name for field in client.query_fields()}


def test_pandas_without_pyarrow_goes_page_by_page(
    client: Client, sweep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = client.trials(sweep, sort="index")
    with_it = trials.to_pandas()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    without = trials.to_pandas()
    assert set(without.columns) == set(with_it.columns)
    assert list(without["best"][:3]) == list(with_it["best"][:3])
    assert list(trials.select("index").to_pandas().columns) == ["index"]
    monkeypatch.setitem(sys.modules, "pyarrow.ipc", None)
    with pytest.raises(SweepError, match="pip install"):
        trials.to_arrow()


def test_files_hold_what_the_filter_asks_for(client: Client, sweep: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.parquet"
    client.export(sweep, path, filter="best > 0.3", fields=["index", "best"])
    assert pyarrow.parquet.read_table(path).to_pydict() == {"index": [0, 2], "best": [0.5, 0.75]}
    with pytest.raises(QueryError, match=r"\.parquet"):
        client.export(sweep, tmp_path / "trials.xls")
    with pytest.raises(QueryError) as caught:
        client.export(sweep, tmp_path / "none.csv", filter="best > 0.3 and bst")
    assert (caught.value.column, caught.value.part) == (19, "filter")
    assert not (tmp_path / "none.csv").exists()
