"""`sweep study` against the real app over real HTTP."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.store.interface import Store
from sweep.cli import local
from sweep.cli.app import app as cli
from sweep.cli.output import make_console
from sweep.client import Client
from sweep.errors import NotFound, SweepError
from sweep.records import SweepRecord
from sweep.states import SweepState, TrialState
from sweep.study import studies
from sweep.study.report import make_report
from sweep.study.results import collect
from sweep.trainables import Trainable, registered
from sweep.wire import ReportRow, Reports, SweepFinished
from tests.unit.store.builders import at, drive, moved, send, started
from tests.unit.study.tiny import tiny


@pytest.fixture
def trainables() -> Mapping[str, Trainable]:
    return registered()


def play(store: Store, sweep_id: str, *values: float) -> None:
    """Run a sweep of three trials by hand."""
    driver = drive(store, sweep_id)
    for i, value in enumerate(values):
        rows = (ReportRow(step=1, time=at(1), values={"value": value}, nonfinite={}),)
        send(
            store,
            driver,
            started(i),
            Reports(trial=i, attempt=1, rows=rows),
            moved(TrialState.COMPLETED, trial=i, reason="max_t"),
        )
    send(store, driver, SweepFinished(state=SweepState.COMPLETED, time=at(99)))


def test_studies_are_listed_without_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_URL", "http://127.0.0.1:9")
    answer = CliRunner().invoke(cli, ["study", "list"])
    assert answer.exit_code == 0
    for name in studies():
        assert name in answer.stdout
    plain = json.loads(CliRunner().invoke(cli, ["study", "list", "--json"]).stdout)
    assert plain["arithmetic"]["trials"] == {"quick": 990, "full": 11_664}


def test_results_are_those_of_the_newest_run(client: Client, store: Store, tmp_path: Path) -> None:
    study = tiny(tmp_path)
    (spec,) = study.read_specs("quick")
    old, other, new = client.submit(spec), client.submit({**_plain(spec)}), client.submit(spec)
    play(store, old.id, 1.0, 2.0, 1.0)
    play(store, other.id, 9.0, 9.0, 9.0)
    play(store, new.id, 1.0, 3.0, 2.0)
    found = collect(client, study)
    assert [sweep.id for sweep in found.sweeps] == [new.id]
    assert list(found.trials["best"]) == [1.0, 3.0, 2.0]
    assert list(found.curves("value")["value"]) == [1.0, 3.0, 2.0]


def _plain(spec: object) -> dict[str, object]:
    """The same spec without the study's tags."""
    from sweep.spec import SweepSpec

    assert isinstance(spec, SweepSpec)
    return {**spec.model_dump(mode="json"), "tags": []}


def test_a_study_that_was_not_run_says_how_to(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"was not run on .*: run it with `sweep study run tiny`"):
        collect(client, tiny(tmp_path))
    with pytest.raises(NotFound, match="in size full"):
        collect(client, tiny(tmp_path), "full")


def test_a_report_is_written_and_its_claims_printed(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny(tmp_path)
    monkeypatch.setattr("sweep.study.studies", lambda: {"tiny": study})
    sweep = client.submit(study.read_specs("quick")[0])
    play(store, sweep.id, 1.0, 3.0, 2.0)
    folder = tmp_path / "reports"
    command = ["study", "report", "tiny", "-o", str(folder)]
    answer = CliRunner().invoke(cli, command)
    assert answer.exit_code == 0, answer.output
    assert "agrees" in answer.stdout
    assert "disagrees" in answer.stdout
    text = (folder / "tiny-quick.md").read_text()
    assert "| Three is the largest | page 1 | 3 | largest 3 of 3 | **agrees** |" in text
    assert "A stand-in." in text
    assert (folder / "tiny-quick.html").read_text().startswith("<!doctype html>")
    plain = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)
    assert [claim["verdict"] for claim in plain["tiny"]] == ["agrees", "disagrees"]


def test_unknown_studies_are_refused_before_anything_runs(client: Client) -> None:
    answer = CliRunner().invoke(cli, ["study", "run", "product", "prodact"])
    assert isinstance(answer.exception, NotFound)
    assert not client.sweeps().page(limit=1).items


def test_nothing_runs_when_a_report_could_not_be_written(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file" / "reports")
    answer = CliRunner().invoke(cli, ["study", "run", "product", "-o", folder])
    assert isinstance(answer.exception, SweepError)
    assert f"cannot write reports to {folder!r}: Not a directory" in answer.exception.message
    assert not client.sweeps().page(limit=1).items


def test_nothing_runs_without_the_packages_of_a_report(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sweep.study.report.find_spec", lambda name: None if name == "pandas" else name
    )
    answer = CliRunner().invoke(cli, ["study", "run", "product", "-o", str(tmp_path)])
    assert isinstance(answer.exception, SweepError)
    assert "a report needs pandas: pip install 'sweep-service[studies]'" in str(answer.exception)
    assert not client.sweeps().page(limit=1).items


def test_reports_of_several_studies_are_one_document(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tiny(tmp_path)
    second = replace(first, name="second")
    monkeypatch.setattr("sweep.study.studies", lambda: {"tiny": first, "second": second})
    for study in (first, second):
        play(store, client.submit(study.read_specs("quick")[0]).id, 1.0, 3.0, 2.0)
    names = ["tiny", "second", "tiny"]
    command = ["study", "report", *names, "--json", "-o", str(tmp_path / "reports")]
    answer = CliRunner().invoke(cli, command)
    assert list(json.loads(answer.stdout)) == ["tiny", "second"]


def test_a_run_of_its_own_is_reported_while_another_goes_on(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny(tmp_path)
    monkeypatch.setattr("sweep.study.studies", lambda: {"tiny": study})

    def follow(client: Client, sweep_id: str, console: object) -> SweepRecord:
        play(store, sweep_id, 1.0, 3.0, 2.0)
        client.submit(study.read_specs("quick")[0])
        return client.sweep(sweep_id)

    monkeypatch.setattr("sweep.cli.progress.follow", follow)
    command = ["study", "run", "tiny", "-o", str(tmp_path / "reports")]
    answer = CliRunner().invoke(cli, command)
    assert answer.exit_code == 0, answer.output
    assert "claims: 1 agrees, 1 disagrees, 0 not run" in answer.stdout


def test_a_run_of_another_spec_and_a_run_that_goes_on_are_said_to_be_so(
    client: Client, store: Store, tmp_path: Path
) -> None:
    study = tiny(tmp_path)
    (spec,) = study.read_specs("quick")
    sweep = client.submit(spec)
    play(store, sweep.id, 1.0, 3.0, 2.0)
    assert make_report(study, collect(client, study)).notices == ()
    other = client.submit(spec.model_copy(update={"max_failures": 3}))
    sweep_is = f"Sweep tiny-quick ({other.id})"
    assert make_report(study, collect(client, study)).notices == (
        f"{sweep_is} is queued: the verdicts rest on a part of it.",
        "Trials that are left out of everything below: 3 pending.",
        f"{sweep_is} did not run as it ships now: its spec differs in max_failures.",
    )


def test_a_service_that_runs_already_is_used(
    client: Client, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWEEP_HOME", str(home))
    monkeypatch.setattr("subprocess.Popen", None)
    (home / "server.json").write_text(json.dumps({"url": client.url, "pid": 1}))
    with local.running(make_console()) as url:
        assert url == client.url
    assert f"using the sweep service that runs at {url}" in capsys.readouterr().out
    assert client.is_ready()


def test_parameters_can_be_set(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.study.studies", lambda: {"tiny": tiny(tmp_path)})

    def follow(client: Client, sweep_id: str, console: object) -> SweepRecord:
        play(store, sweep_id, 3.0)
        return client.sweep(sweep_id)

    monkeypatch.setattr("sweep.cli.progress.follow", follow)
    command = ["study", "run", "tiny", "-o", str(tmp_path / "reports"), "--set", "x=3e0"]
    refused = CliRunner().invoke(cli, [*command, "--set", "path=/data/a=b"])
    assert "parameters.path: Extra inputs are not permitted; got '/data/a=b'" in str(
        refused.exception
    )
    answer = CliRunner().invoke(cli, command)
    assert answer.exit_code == 0, answer.output
    (sweep,) = client.sweeps().page(limit=5).items
    (trial,) = client.trials(sweep.id)
    assert trial.parameters == {"x": 3.0}
    assert "did not run as it ships now: its spec differs in parameters" in answer.stdout


@pytest.mark.parametrize(
    ("more", "problem"),
    [(["--set", "path"], "got 'path'"), (["product", "--set", "lr=1"], "one study at a time")],
)
def test_bad_settings_are_bad_usage(client: Client, more: list[str], problem: str) -> None:
    answer = CliRunner().invoke(cli, ["study", "run", "expressivity", *more])
    assert answer.exit_code == 2
    assert problem in answer.output
    assert not client.sweeps().page(limit=1).items
