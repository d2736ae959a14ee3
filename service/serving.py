"""The service as a process: its roles, sockets, uvicorn, a clean end."""

import errno
import gc
import json
import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from service.api.context import Context
from service.app import create_app
from service.dispatching import Dispatching, now
from service.health_server import health_app
from service.ray_head import RayResources
from service.settings import Settings
from service.store.interface import Store
from service.store.open import migrate, open_store
from sweep.errors import SweepError
from sweep.trainables import registered

logger = logging.getLogger(__name__)

_PORTS_TRIED = 100
_OBJECTS_PER_COLLECTION = 100_000


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
        # By its protocol asyncio knows to send what is small at once: without, an answer's
        # body waits some 40 ms for the client to acknowledge its head.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    _end_by_exceptions()
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings.store_url)
    with (
        closing(open_store(settings.store_url)) as store,
        closing(listen(settings.host, settings.port)) as listener,
    ):
        own = url_of(listener)
        url = ",".join(settings.public_urls) or own
        dispatching = Dispatching(settings, store, url=url, resources=resources)
        with _address_file(settings.home, own), dispatching.running():
            _api_server(settings, store).run(sockets=[listener])


def serve_api(settings: Settings) -> None:
    """Serve the API alone; dispatchers are other processes on the same database.

    Raises:
        ServiceUnavailable: when the database is away or its schema is not current.
    """
    _end_by_exceptions()
    with (
        closing(_checked_store(settings)) as store,
        closing(listen(settings.host, settings.port)) as listener,
    ):
        logger.info("the API is at %s", url_of(listener))
        _api_server(settings, store).run(sockets=[listener])


def dispatch(settings: Settings, *, resources: RayResources) -> None:
    """Dispatch sweeps alone; `/healthz` tells whether that goes well.

    Raises:
        SweepError: without the URLs of the API servers.
        ServiceUnavailable: when the database is away or its schema is not current.
    """
    _end_by_exceptions()
    if not settings.public_urls:
        raise SweepError(
            "a dispatcher needs SWEEP_PUBLIC_URL, the URLs at which drivers reach the API servers"
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    with (
        closing(_checked_store(settings)) as store,
        closing(listen(settings.host, settings.port)) as listener,
    ):
        url = ",".join(settings.public_urls)
        dispatching = Dispatching(settings, store, url=url, resources=resources)
        logger.info("health is told at %s/healthz", url_of(listener))
        with dispatching.running():
            _server(health_app(dispatching.trouble)).run(sockets=[listener])


def _checked_store(settings: Settings) -> Store:
    """The store, its schema found to be current; to change it is `migrate`'s part."""
    store = open_store(settings.store_url)
    try:
        store.check()
    except SweepError:
        store.close()
        raise
    return store


class ApiServer(uvicorn.Server):
    """Serves the API; when it stops it ends live streams, which would not end by themselves."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._context: Context = app.state.context

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._context.hub.close()
        await super().shutdown(sockets)


def _api_server(settings: Settings, store: Store) -> ApiServer:
    app = create_app(
        store=store, settings=settings, clock=now, new_id=new_id, trainables=registered()
    )
    _collect_seldom()
    return ApiServer(app, _config(app))


def _collect_seldom() -> None:
    """Look for cycles of objects seldom, and never among what the program starts with.

    A large batch of a driver makes a hundred thousand objects and no cycles; looking for
    some again and again took three quarters of the time to read it.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 20, 50)


def _server(app: Starlette) -> uvicorn.Server:
    return uvicorn.Server(_config(app))


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)


def _end_by_exceptions() -> None:
    """End by way of every `finally`: uvicorn raises its signals again once it has stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)


def _leave(number: int, frame: object) -> None:
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
