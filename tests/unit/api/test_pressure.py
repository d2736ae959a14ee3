"""Back-pressure: a server with too much to do, and a driver that loses nothing by it."""

from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from service.auth import new_driver_token
from service.store.interface import Store
from sweep.errors import TooManyRequests
from sweep.wire import Heartbeat, Known
from tests.fixtures import serve
from tests.unit.api.conftest import Clock, make_app
from tests.unit.store.builders import LEASE, START, create, reported, started
from workers.driver.outbox import Outbox
from workers.driver.service import DriverService

KNOWN = Known(trials=3)


def test_a_driver_that_is_refused_sends_it_all_later(
    store: Store, home: Path, tmp_path: Path
) -> None:
    create(store)
    secret, digest = new_driver_token()
    store.start_driver("s1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    app = make_app(store, Clock(), home, embedded=True)
    places = app.state.context.batches
    outbox = Outbox(tmp_path / "spool", max_memory=2)
    with ExitStack() as stack:
        url = stack.enter_context(serve(app))
        service = stack.enter_context(closing(DriverService(url, secret)))
        stack.callback(outbox.close)
        with ExitStack() as others:
            for _ in range(app.state.context.settings.max_batches):
                others.enter_context(places.taken())
            outbox.put([started(0), *(reported((step, 0.5)) for step in range(1, 8))])
            for _ in range(2):
                with pytest.raises(TooManyRequests) as refused, outbox.batch() as messages:
                    service.send(messages, known=KNOWN)
                assert refused.value.retry_after_s == 1
                assert service.heartbeat(Heartbeat(known=KNOWN)).wanted == "run"
        while outbox.wait(0):
            with outbox.batch() as messages:
                service.send(messages, known=KNOWN)
    assert [report.step for report in store.list_reports("s1-0").items] == list(range(1, 8))


def test_a_place_is_given_back_however_the_batch_ends(store: Store, home: Path) -> None:
    create(store)
    secret, digest = new_driver_token()
    store.start_driver("s1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    app = make_app(store, Clock(), home, embedded=True)
    most = app.state.context.settings.max_batches
    with serve(app) as url, closing(DriverService(url, secret)) as service:
        for _ in range(most + 1):
            with pytest.raises(Exception, match="404"):
                service.send([started(99)], known=KNOWN)
        for _ in range(most + 1):
            with pytest.raises(Exception, match="422"):
                service._call("POST", "/batch", "{}")
        service.send([started(0)], known=KNOWN)
    assert store.get_trial("s1-0").attempts == 1


def test_a_refusal_is_a_problem_document(store: Store, home: Path) -> None:
    create(store)
    secret, digest = new_driver_token()
    store.start_driver("s1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    app = make_app(store, Clock(), home, embedded=True)
    with ExitStack() as stack:
        for _ in range(app.state.context.settings.max_batches):
            stack.enter_context(app.state.context.batches.taken())
        url = stack.enter_context(serve(app))
        service = stack.enter_context(closing(DriverService(url, secret)))
        with pytest.raises(TooManyRequests, match='"code":"too_many_requests"'):
            service.send([started(0)], known=KNOWN)
