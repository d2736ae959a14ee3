"""The client's figures, and commands that ask for what does not fit."""

import pytest

from sweep.client import Client
from sweep.errors import ParameterError
from tests.unit.api.test_sweeps import SPEC
from tests.unit.cli.test_commands import run_main


def test_a_parameter_that_does_not_fit_is_bad_usage(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = client.submit(SPEC)
    asked = ("pivot", sweep.id, "--rows", "parameters.x", "--columns", "nope")
    code, _, err = run_main(capsys, monkeypatch, *asked)
    assert code == 2
    assert "columns: there is no field 'nope'" in err
    with pytest.raises(ParameterError, match="threshold: is needed"):
        client.pivot(sweep.id, rows="state", columns="group", aggregate="share")


def test_a_pivot_without_results_is_a_table_of_dashes(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = client.submit(SPEC)
    asked = ("pivot", sweep.id, "--rows", "parameters.x", "--columns", "parameters.kind")
    code, out, _ = run_main(capsys, monkeypatch, *asked)
    assert code == 0
    assert out.startswith("max of best score")
    assert out.count("–") == 6


def test_a_comparison_says_which_way_a_metric_is_better(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [client.submit({**SPEC, "name": name}).id for name in ("first", "second")]
    code, _, err = run_main(capsys, monkeypatch, "compare", *ids, "--metric", "loss")
    assert code == 2
    assert "mode: is a larger or a smaller last loss better? Say max or min" in err
    asked = ("compare", *ids, "--metric", "loss", "--mode", "min")
    code, out, _ = run_main(capsys, monkeypatch, *asked)
    assert code == 0
    assert "last loss" in out
    assert client.compare(*ids, metric="loss", mode="min").sweeps[0].mode == "min"


def test_figures_come_through_the_client(client: Client) -> None:
    sweep = client.submit(SPEC)
    figure = client.figure(sweep.id, "savings", {"theme": "dark"})
    assert figure.layout["title"]["text"] == "Early stopping"
