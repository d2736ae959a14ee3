"""The service as a process: sockets, uvicorn, the dispatcher's thread, a clean end."""

import errno
import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

from service.app import create_app
from service.dispatch.core import Limits
from service.dispatch.launcher import LocalLauncher
from service.dispatch.loop import Dispatcher
from service.ray_head import RayHead, RayResources
from service.settings import Settings
from service.store.interface import Store
from service.store.open import migrate, open_store
from sweep.errors import SweepError
from sweep.trainables import registered

_PORTS_TRIED = 100


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id for a sweep: short, and free of characters that are easily mixed up."""
    return "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(10))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket at the port, or at the next free one after it.

    Raises:
        SweepError: when none is free, or the host is not one of this machine's.
    """
    for candidate in range(port, min(port + _PORTS_TRIED, 65_536)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise SweepError(f"cannot listen on {host}:{candidate}: {error}") from error
            continue
        return listener
    raise SweepError(f"no free port from {port} to {port + _PORTS_TRIED - 1} on {host}")


def url_of(listener: socket.socket) -> str:
    """The base URL at which a listening socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings, *, resources: RayResources) -> None:
    """Serve the API and dispatch sweeps until told to stop (SIGINT or SIGTERM)."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings.store_url)
    store = open_store(settings.store_url)
    listener = listen(settings.host, settings.port)
    url = settings.public_url or url_of(listener)
    app = create_app(
        store=store, settings=settings, clock=now, new_id=new_id, trainables=registered()
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    head = RayHead(settings.home, resources) if settings.ray_address is None else None
    with (
        _address_file(settings.home, url),
        _dispatching(settings, store, url=url, head=head),
    ):
        server.run(sockets=[listener])
    store.close()


def _leave(number: int, frame: object) -> None:
    """End by way of every `finally`: uvicorn raises its signals again once it has stopped."""
    raise SystemExit(0)


@contextmanager
def _address_file(home: Path, url: str) -> Iterator[None]:
    """Tell local clients where the service is."""
    path = home / "server.json"
    partial = home / "server.json.partial"
    partial.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    partial.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _dispatching(
    settings: Settings, store: Store, *, url: str, head: RayHead | None
) -> Iterator[None]:
    """Dispatch in a thread, once Ray is there; when that fails, the service ends.

    Raises:
        SweepError: at the end of the block, when the dispatcher failed.
    """
    stop = threading.Event()
    failures: list[Exception] = []

    def run() -> None:
        try:
            _dispatch(settings, store, url, head, stop)
        except Exception as error:  # noqa: BLE001 - told below; a service that starts nothing ends
            failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=run, name="dispatcher")
    try:
        thread.start()  # it may fail, and ask for the end, before this returns
        yield
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()
        if failures:
            raise SweepError(f"the dispatcher failed: {failures[0]}") from failures[0]


def _dispatch(
    settings: Settings, store: Store, url: str, head: RayHead | None, stop: threading.Event
) -> None:
    lease = timedelta(seconds=settings.lease_s)
    environment = {"RAY_ADDRESS": settings.ray_address or ""}
    try:
        if head is not None:
            head.start()
            environment = dict(head.environment)
        launcher = LocalLauncher(
            python=settings.python,
            service_url=url,
            folder=settings.home,
            environment=environment,
        )
        limits = Limits(max_running=settings.max_running_sweeps, leases_hold_until=now() + lease)
        Dispatcher(store, launcher, limits=limits, lease=lease, clock=now).run(stop)
        launcher.stop()
    finally:
        if head is not None:
            head.stop()
