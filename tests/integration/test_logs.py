"""What trials print, from real processes through to the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sweep.cli.app import app
from sweep.client import Client
from sweep.records import TrialRecord
from sweep.states import SweepState, TrialState
from tests.fixtures import RayCluster
from tests.integration.service_process import ServiceProcess
from tests.integration.test_packs import long_one
from tests.integration.test_sweeps import spec
from workers.driver.capture import log_folder

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def service(home: Path, ray_cluster: RayCluster) -> Iterator[ServiceProcess]:
    """One whose drivers are not given up on a busy machine; none is killed here."""
    process = ServiceProcess(home, ray_cluster.environment, SWEEP_LEASE_S="60")
    yield process
    process.stop()


def text(client: Client, trial: TrialRecord, stream: str | None = None) -> str:
    return "".join(piece.text for piece in client.logs(trial.id, stream=stream))


def test_what_trials_print_is_kept_however_they_end(service: ServiceProcess) -> None:
    client = service.start()
    moods = ["fine", "raises", "dies", "floods"]
    fields: dict[str, Any] = {"max_failures": 1, "max_concurrent": 2, "reuse_actors": True}
    sweep = client.submit(spec("talkative", parameters={"mood": {"grid": moods}}, **fields))
    sweep = client.wait(sweep.id, poll=0.2)
    assert sweep.state is SweepState.COMPLETED
    trials = {trial.parameters["mood"]: trial for trial in client.trials(sweep.id)}
    assert text(client, trials["fine"], "stdout") == "fine out\nfine child\nfine bye\n"
    assert text(client, trials["fine"], "stderr") == "fine err\n"
    raised = list(client.logs(trials["raises"].id))
    assert trials["raises"].state is TrialState.FAILED
    for attempt in (1, 2):
        said = "".join(piece.text for piece in raised if piece.attempt == attempt)
        assert "raises out\nraises child\n" in said
        assert "RuntimeError: in a talkative mood" in said

    def said_by_the_dead(attempt: int) -> str:
        pieces = client.logs(trials["dies"].id, stream="stdout")
        return "".join(piece.text for piece in pieces if piece.attempt == attempt)

    for attempt in (1, 2):
        assert said_by_the_dead(attempt) == "dies out\ndies child\nlast words"
    flood = text(client, trials["floods"])
    assert flood.startswith("floods out\nfloods child\nline 0\n")
    assert flood.endswith("line 199999\nfloods bye\n")
    assert "bytes are left out here]" in flood
    assert len(flood) < 600_000
    assert not [path for path in log_folder().iterdir() if path.name.startswith(sweep.id)]


def test_a_pack_s_log_is_each_member_s(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service.start()
    fields = long_one()
    fields["parameters"]["lr"] = {"grid": [1e-5, 2e-5]}
    fields["trainable"] = "tests.integration.packables:LOUD"
    sweep = client.submit({**fields, "pack": 8, "early_stopping": {"type": "none", "max_t": 200}})
    sweep = client.wait(sweep.id, poll=0.2)
    assert sweep.state is SweepState.COMPLETED
    trials = list(client.trials(sweep.id))
    said = [text(client, trial) for trial in trials]
    assert said[0] == said[1]
    assert set(said[0].splitlines()) == {"a member was made"}
    assert len({trial.pack for trial in trials}) == 1
    monkeypatch.setenv("SWEEP_URL", client.url)
    shown = CliRunner().invoke(app, ["logs", trials[1].id, "--follow"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith(f"==> attempt 1, in pack {trials[1].pack}, on ")
