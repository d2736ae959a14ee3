"""The client and the command line against the real app over real HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.app import create_app
from service.auth import issue_token
from service.settings import Settings
from service.store.interface import Store
from sweep.cli.app import app as cli
from sweep.cli.app import main
from sweep.client import Client, default_url
from sweep.errors import Conflict, NotFound, QueryError, ServiceUnavailable, SpecError, Unauthorized
from sweep.spec import parse_spec
from sweep.states import SweepState, TrialState
from sweep.wire import SweepFinished
from tests.fixtures import serve
from tests.unit.api.conftest import TOY, Clock
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import START, at, drive, moved, reported, send, started


def run(*arguments: str, stdin: str | None = None) -> Any:
    """The command's result, through `main`, with its exit code and streams."""
    return CliRunner().invoke(cli, list(arguments), input=stdin)


def run_main(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["sweep", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def finish(store: Store, sweep_id: str, state: SweepState = SweepState.COMPLETED) -> None:
    driver = drive(store, sweep_id)
    for index, score in enumerate((0.5, 0.25, 0.75)):
        send(
            store,
            driver,
            started(index),
            reported((1, score), trial=index, loss=1 - score),
            moved(TrialState.COMPLETED, trial=index, reason="max_t"),
            known=6,
        )
    send(store, driver, SweepFinished(state=state, time=at(99)), known=6)


def test_the_client_goes_the_whole_way(client: Client, store: Store, tmp_path: Path) -> None:
    sweep = client.submit(SPEC)
    assert (sweep.id, sweep.num_trials) == ("id1", 6)
    assert client.dry_run(parse_spec(SPEC)).trials == 6
    finish(store, sweep.id)
    seen: list[SweepState] = []
    assert client.wait(sweep.id, on_update=lambda s: seen.append(s.state)).state == "completed"
    assert seen == [SweepState.COMPLETED]
    best = next(iter(client.trials(sweep.id, filter="best > 0.3", sort="-best")))
    assert best.best is not None
    assert (best.index, best.best.value) == (2, 0.75)
    frame = client.trials(sweep.id, sort="-best").to_pandas()
    assert list(frame["best"][:3]) == [0.75, 0.5, 0.25]
    assert list(frame["parameters.x"][:2]) == [2.0, 1.0]
    reports = client.reports(best.id).to_pandas()
    assert list(reports["values.loss"]) == [0.25]
    client.export(sweep.id, tmp_path / "out.csv", layout="published")
    assert (tmp_path / "out.csv").read_text().startswith("kind,score\n")
    assert [t.name for t in client.trainables()] == ["toy"]
    assert client.audit(sweep.id).page(limit=1).items[0].kind == "sweep.created"
    client.delete(sweep.id)
    with pytest.raises(NotFound):
        client.sweep(sweep.id)


def test_a_long_list_is_fetched_page_by_page(client: Client) -> None:
    grid = {"x": {"grid": [float(i) for i in range(1203)]}}
    sweep = client.submit({**SPEC, "parameters": grid, "early_stopping": {"type": "none"}})
    assert [t.index for t in client.trials(sweep.id)] == list(range(1203))


def test_problems_become_the_errors_that_they_are(client: Client, store: Store) -> None:
    with pytest.raises(SpecError) as caught:
        client.submit({**SPEC, "epochs": 1})
    assert [p.path for p in caught.value.problems] == ["epochs"]
    sweep = client.submit(SPEC)
    with pytest.raises(QueryError, match="no field"):
        client.trials(sweep.id, filter="bst > 1").page(limit=1)
    with pytest.raises(Conflict):
        client.delete(sweep.id)
    with pytest.raises(NotFound):
        client.submit("no/such/file.yaml")
    with pytest.raises(SpecError):
        client.submit({**SPEC, "parameters": {"x": float("nan")}})


def test_a_service_that_is_not_there_is_said_with_what_to_do() -> None:
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(ServiceUnavailable, match="sweep up"),
    ):
        client.sweep("x")


def test_a_token_is_sent_when_there_is_one(home: Path, store: Store) -> None:
    app = create_app(
        store=store,
        settings=Settings(home=home),
        clock=Clock(),
        new_id=lambda: "t9",
        trainables={"toy": TOY},
    )
    secret = issue_token(store, token_id="t1", name="ann", now=START).secret
    with serve(app) as url:
        with Client(url) as nobody, pytest.raises(Unauthorized):
            nobody.sweeps().page(limit=1)
        with Client(url, token=secret) as ann:
            made = ann.create_token("bob")
            assert [t.name for t in ann.tokens()] == ["ann", "bob"]
            with Client(url, token=made.secret) as bob:
                assert bob.sweeps().page(limit=1).items == ()
            ann.revoke_token("bob")
            with Client(url, token=made.secret) as bob, pytest.raises(Unauthorized):
                bob.sweeps().page(limit=1)


def test_the_local_service_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_HOME", str(home))
    assert default_url() == "http://127.0.0.1:8080"
    (home / "server.json").write_text('{"url": "http://127.0.0.1:8123", "pid": 1}')
    assert default_url() == "http://127.0.0.1:8123"


def test_submitting_and_looking(url: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps(SPEC))
    plan = run("submit", str(path), "--dry-run")
    assert plan.exit_code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in plan.output.splitlines()]
    for row in (["trials", "6"], ["groups", "2"], ["trial-steps", "about 54"]):
        assert row in rows
    posted = run("submit", str(path))
    assert "sweep id1: 6 trials, queued" in posted.output
    assert "sweep watch id1" in posted.output
    assert json.loads(run("submit", "-", "--json", stdin=json.dumps(SPEC)).output)["id"] == "id2"
    finish(store, "id1")
    assert "3 of 6" not in run("list").output
    assert "6 of 6" in run("list").output
    assert [s["id"] for s in json.loads(run("list", "--json").output)] == ["id2", "id1"]
    shown = run("show", "id1").output
    assert "0.75 (trial id1-2, step 1)" in shown
    table = run("results", "id1", "--limit", "2").output
    assert "0.75" in table
    assert table.count("completed (max_t)") == 2
    trials = json.loads(run("results", "id1", "--format", "json", "--filter", "best > 0.6").output)
    assert [t["index"] for t in trials] == [2]
    lines = run("results", "id1", "--format", "csv").output.splitlines()
    assert lines[0].startswith("id,sweep_id,index,state")
    assert len(lines) == 7
    assert "\x1b" not in table + shown
    assert run("export", "id1", "-o", str(tmp_path / "o.csv")).exit_code == 0
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 7
    assert run("results", "id1", "--count", "--filter", "best > 0.3").output == "2\n"
    assert json.loads(run("results", "id1", "--count", "--json").output) == {"count": 6}
    few = ("results", "id1", "--fields", "index, parameters, metrics.score@1", "--limit", "1")
    assert json.loads(run(*few, "--json").output) == [
        {"index": 2, "parameters": {"x": 2.0, "kind": "a"}, "metrics.score@1": 0.75}
    ]
    assert run(*few, "--format", "csv").output.splitlines() == [
        "index,parameters,metrics.score@1",
        '2,"{""x"": 2.0, ""kind"": ""a""}",0.75',
    ]
    assert "metrics.score@1" in run(*few).output
    assert [s["id"] for s in json.loads(run("list", "--json", "--sort", "id").output)] == [
        "id1",
        "id2",
    ]
    assert len(json.loads(run("list", "--json", "--filter", "best > 0.7").output)) == 1
    for ending, head in (("parquet", b"PAR1"), ("arrow", b"\xff\xff\xff\xff")):
        path = tmp_path / f"o.{ending}"
        assert run("export", "id1", "-o", str(path), "--fields", "index,best").exit_code == 0
        assert path.read_bytes().startswith(head)
    assert "toy" in run("trainables").output
    assert "parameters" in json.loads(run("schema").output)["properties"]


def test_waiting_ends_with_the_sweeps_outcome(url: str, store: Store, client: Client) -> None:
    client.submit(SPEC)
    client.submit(SPEC)
    finish(store, "id1")
    finish(store, "id2", SweepState.FAILED)
    good, bad = run("watch", "id1"), run("watch", "id2")
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "completed: 6 of 6 trials ended; best score 0.75" in good.output


def test_cancelling_and_deleting(url: str, client: Client) -> None:
    client.submit(SPEC)
    assert "is cancelled, 6 trials" in run("cancel", "id1").output
    assert run("delete", "id1").exit_code == 0
    assert json.loads(run("list", "--json").output) == []


def test_tokens_from_the_shell(url: str) -> None:
    assert run("token", "create", "ann").output.startswith("swp_")
    assert json.loads(run("token", "list", "--json").output)[0]["name"] == "ann"
    assert "revoked ann" in run("token", "revoke", "ann").output


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["show", "nope"], 3, "no sweep 'nope'"),
        (["results", "id1", "--filter", "bst > 1"], 2, "no field 'bst'"),
        (["results", "id1", "--filter", "best > 'x'"], 2, "  best > 'x'\n         ^\n"),
        (["delete", "id1"], 6, "cancel it before"),
        (["submit", "no/such.yaml"], 3, "no/such.yaml"),
        (["--url", "http://127.0.0.1:9", "list"], 4, "sweep up"),
        (["list", "--nope"], 2, "No such option"),
        (["export", "id1", "-o", "x.xls"], 2, ".csv, .parquet, .arrow"),
        (["results", "id1", "--fields", "index,bst"], 2, "(column 7)"),
        (["up", "--host", "0.0.0.0", "--run", "no.yaml"], 1, "no.yaml"),
    ],
)
def test_errors_are_said_on_stderr_with_a_code(
    client: Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    part: str,
) -> None:
    client.submit(SPEC)
    ended, out, err = run_main(capsys, monkeypatch, *arguments)
    assert (ended, out) == (code, "")
    assert part in err
    assert "Traceback" not in err


def test_a_bad_spec_is_a_list_of_fields(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "spec.yaml").write_text(json.dumps({**SPEC, "epochs": 1, "replicates": 0}))
    code, _, err = run_main(capsys, monkeypatch, "submit", str(tmp_path / "spec.yaml"))
    assert code == 2
    assert "  epochs: Extra inputs are not permitted" in err
    assert "  replicates: Input should be greater than or equal to 1; got 0" in err
