"""A driver frozen past its lease: it is ended, its actors with it, and a successor goes on."""

import signal

import psutil
import pytest

from sweep.client import Client
from tests.integration.service_process import ServiceProcess, wait_for
from tests.integration.test_faults import STEPS, check_whole, in_the_middle
from tests.integration.test_sweeps import spec

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_a_frozen_driver_is_ended_and_its_actors_free_the_cluster(
    service: ServiceProcess,
) -> None:
    client: Client = service.start()
    parameters = {"x": {"grid": list(range(8))}, "steps": STEPS, "pace": 0.05}
    fields = {"max_concurrent": 2, "reuse_actors": True}
    sweep = client.submit(spec("steady", parameters=parameters, **fields))
    wait_for(lambda: in_the_middle(client, sweep), "some ended and some running trials")
    (driver,) = service.drivers(sweep.id)
    actors = service.trial_actors()
    assert actors
    driver.send_signal(signal.SIGSTOP)
    wait_for(lambda: client.sweep(sweep.id).epoch == 2, "a successor")
    _, alive = psutil.wait_procs([driver, *actors], timeout=60)
    assert alive == []
    check_whole(client, sweep)
    assert client.sweep(sweep.id).epoch == 2
    reasons = [e.detail.get("reason") for e in client.audit(sweep.id) if e.kind == "driver.ended"]
    assert str(reasons[0]).startswith("signal 9")
