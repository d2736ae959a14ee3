"""The dispatcher as part of a process: its launcher, its Ray head, its thread."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta

from service.dispatch.core import Limits
from service.dispatch.launcher import Launcher
from service.dispatch.local import LocalLauncher
from service.dispatch.loop import Dispatcher
from service.dispatch.ray_jobs import RayJobLauncher, RayJobsApi
from service.dispatch.reach import ApiServers
from service.ray_auth import ray_environment, ray_token
from service.ray_head import RayHead, RayResources
from service.ray_keeper import kept_alive
from service.settings import Settings
from service.store.interface import Store
from sweep.errors import SweepError


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Dispatching:
    """A dispatcher in a thread, once Ray is there; when it fails, the process ends."""

    def __init__(
        self, settings: Settings, store: Store, *, url: str, resources: RayResources
    ) -> None:
        self._settings = settings
        self._store = store
        self._url = url
        self._head = RayHead(settings.home, resources) if _needs_head(settings) else None
        self._stop = threading.Event()
        self._failures: list[Exception] = []
        self._dispatcher: Dispatcher | None = None

    def trouble(self) -> str | None:
        """What is wrong with the dispatcher, or None."""
        if self._dispatcher is None:
            return "the dispatcher has not started: Ray is not there yet"
        return self._dispatcher.pulse.trouble()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Dispatch for the length of the block.

        Raises:
            SweepError: at the end of the block, when the dispatcher failed.
        """
        thread = threading.Thread(target=self._run, name="dispatcher")
        try:
            thread.start()  # it may fail, and ask for the end, before this returns
            yield
        finally:
            self._stop.set()
            if thread.ident is not None:
                thread.join()
            if self._failures:
                error = self._failures[0]
                raise SweepError(f"the dispatcher failed: {error}") from error

    def _run(self) -> None:
        try:
            self._dispatch()
        except Exception as error:  # noqa: BLE001 - told below; a service that starts nothing ends
            self._failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    def _dispatch(self) -> None:
        lease = timedelta(seconds=self._settings.lease_s)
        with ExitStack() as stack:
            if self._head is not None:
                stack.callback(self._head.stop)
                self._head.start()
                stack.enter_context(kept_alive(self._head))
            launcher = self._launcher()
            api = stack.enter_context(closing(ApiServers(self._url.split(","))))
            limits = Limits(
                max_running=self._settings.max_running_sweeps, leases_hold_until=now() + lease
            )
            self._dispatcher = Dispatcher(
                self._store,
                launcher,
                limits=limits,
                lease=lease,
                clock=now,
                first_lease=max(lease, timedelta(seconds=self._settings.start_s)),
                api_answers=api.answer,
            )
            self._dispatcher.run(self._stop)
            launcher.stop()

    def _launcher(self) -> Launcher:
        settings = self._settings
        if settings.launcher == "ray-job":
            return RayJobLauncher(
                RayJobsApi(settings.ray_jobs_url or "", ray_token(settings, os.environ)),
                python=settings.python or "python",
                service_url=self._url,
            )
        return LocalLauncher(
            python=settings.local_python,
            service_url=self._url,
            folder=settings.home,
            environment=self._environment(),
        )

    def _environment(self) -> Callable[[], dict[str, str]]:
        head = self._head
        if head is not None:
            return lambda: dict(head.environment)
        found = ray_environment(self._settings, os.environ)
        return lambda: found


def _needs_head(settings: Settings) -> bool:
    return settings.launcher == "local" and settings.ray_address is None
