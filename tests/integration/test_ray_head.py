"""The service's own Ray head killed in mid-sweep: it comes back, and the sweep ends whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sweep.wire import EXIT_NO_RAY
from tests.integration.service_process import ServiceProcess, wait_for
from tests.integration.test_faults import STEPS, check_whole, in_the_middle
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def service_with_head(home: Path) -> Iterator[ServiceProcess]:
    process = ServiceProcess(home, {})
    yield process
    process.stop()


def test_a_killed_head_is_started_again_and_the_sweep_goes_on(
    service_with_head: ServiceProcess, home: Path
) -> None:
    client = service_with_head.start()
    parameters = {"x": {"grid": list(range(8))}, "steps": STEPS, "pace": 0.05}
    sweep = client.submit(spec("steady", parameters=parameters, reuse_actors=True))
    wait_for(lambda: in_the_middle(client, sweep), "some ended and some running trials")
    before = json.loads((home / "ray.json").read_text())
    family = psutil.Process(before["pid"]).children(recursive=True)
    (gcs,) = [process for process in family if process.name() == "gcs_server"]
    gcs.kill()
    check_whole(client, sweep)
    after = json.loads((home / "ray.json").read_text())
    assert (after["port"], after["token"]) == (before["port"], before["token"])
    assert after["pid"] != before["pid"]
    events = client.audit(sweep.id)
    assert not [e for e in events if e.kind in ("trial.retried", "trial.failed")]
    reasons = [str(e.detail["reason"]) for e in events if e.kind == "driver.ended"]
    assert [reason.partition(";")[0] for reason in reasons][:1] == [f"exit {EXIT_NO_RAY}"]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
