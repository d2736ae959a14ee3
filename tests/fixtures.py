"""Real servers for tests: a Ray head, the HTTP service."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from service.ray_head import RayHead, RayResources
from service.serving import ApiServer, listen, url_of


class RayCluster:
    """A Ray head with eight CPUs' worth of slots."""

    def __init__(self, folder: Path) -> None:
        self._head = RayHead(folder, RayResources(cpus=8))

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to connect."""
        return self._head.environment

    def start(self) -> None:
        """Start it."""
        self._head.start()

    def stop(self) -> None:
        """Stop it."""
        self._head.stop()


@contextmanager
def serve(app: Starlette, *, port: int = 20_000) -> Iterator[str]:
    """The app over real HTTP on a free loopback port; its URL."""
    listener = listen("127.0.0.1", port)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=10)
    ours = isinstance(app, FastAPI)
    server = ApiServer(app, config) if ours else uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
