"""Drivers as jobs of a Ray cluster, by its job submission HTTP API; Ray is not imported.

A job's id is a function of the sweep and the epoch, so that any dispatcher can stop it.
A driver's token travels in a package, the job's working folder, of which lists of jobs
show the name alone; environment variables and the command they show to everybody.
"""

import hashlib
import io
import json
import logging
import shlex
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from service.dispatch.launcher import Exit, Launch, LauncherAway, exit_reason
from sweep.wire import EXIT_NO_RAY

logger = logging.getLogger(__name__)

_TOKEN_FILE = "driver-token"
_FINAL = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_SUBMIT_TIMEOUT = httpx.Timeout(20, connect=3)
_ASK_TIMEOUT = httpx.Timeout(3)
_MESSAGE_CHARS = 500
_ASK_EVERY_S = 2.0
_ASK_AGAIN_AFTER_S = 10.0


def submission_id(sweep_id: str, epoch: int) -> str:
    """The name of the job that is a sweep's driver."""
    return f"sweep-{sweep_id}-{epoch}"


@dataclass(frozen=True)
class RayJobsApi:
    """Where jobs are submitted, and what opens it."""

    url: str
    """The dashboard's, such as http://ray-head:8265."""
    token: str | None = None
    """Ray's own, where the cluster runs with RAY_AUTH_MODE=token."""


class RayJobLauncher:
    """Runs each driver as a Ray job. The jobs go on without the dispatcher."""

    def __init__(
        self,
        api: RayJobsApi,
        *,
        python: str,
        service_url: str,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=api.url,
            headers={} if api.token is None else {"Authorization": f"Bearer {api.token}"},
            transport=transport,
        )
        self._command = f"{shlex.quote(python)} -m workers.driver"
        self._url = service_url
        self._clock = clock
        self._jobs: set[tuple[str, int]] = set()
        self._ask_at = clock()

    def launch(self, launch: Launch) -> None:
        """See `Launcher`."""
        name, package = _package(launch.token)
        self._submit("PUT", f"/api/packages/gcs/{name}", content=package)
        job = {
            "entrypoint": self._command,
            "submission_id": submission_id(launch.sweep_id, launch.epoch),
            "runtime_env": {
                "working_dir": f"gcs://{name}",
                "env_vars": {
                    "SWEEP_DRIVER_URL": self._url,
                    "SWEEP_DRIVER_TOKEN_FILE": _TOKEN_FILE,
                    "SWEEP_DRIVER_SPOOL": ".",
                },
            },
            "metadata": {"sweep": launch.sweep_id, "epoch": str(launch.epoch)},
        }
        self._submit("POST", "/api/jobs/", content=json.dumps(job).encode())
        self._jobs.add((launch.sweep_id, launch.epoch))

    def ended(self) -> Sequence[Exit]:
        """See `Launcher`. Asks every two seconds at most, and later when Ray is away."""
        if self._clock() < self._ask_at:
            return []
        self._ask_at = self._clock() + _ASK_EVERY_S
        exits = []
        try:
            for key in sorted(self._jobs):
                gone = self._exit(*key)
                if gone is not None:
                    self._jobs.discard(key)
                    exits.append(gone)
        except httpx.HTTPError as error:
            logger.warning("Ray's jobs cannot be asked about: %s", error)
            self._ask_at = self._clock() + _ASK_AGAIN_AFTER_S
        return exits

    def kill(self, sweep_id: str, epoch: int) -> None:
        """See `Launcher`."""
        self._jobs.discard((sweep_id, epoch))
        path = f"/api/jobs/{submission_id(sweep_id, epoch)}/stop"
        try:
            answer = self._http.post(path, timeout=_ASK_TIMEOUT)
            if answer.status_code != httpx.codes.NOT_FOUND:
                answer.raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("driver %d of sweep %s was not stopped: %s", epoch, sweep_id, error)

    def stop(self) -> None:
        """Let the jobs go on: another dispatcher, or the next, goes by their leases."""
        self._http.close()

    def _submit(self, method: str, path: str, *, content: bytes) -> None:
        try:
            answer = self._http.request(
                method,
                path,
                content=content,
                headers={"Content-Type": "application/json"},
                timeout=_SUBMIT_TIMEOUT,
            )
        except httpx.HTTPError as error:
            raise LauncherAway(f"Ray's job API cannot be reached: {error!r}") from error
        if answer.is_success:
            return
        text = f"Ray's job API: {method} {path}: {answer.status_code} {answer.text.strip()[-500:]}"
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise OSError(text)
        raise LauncherAway(text)

    def _exit(self, sweep_id: str, epoch: int) -> Exit | None:
        """How a job ended, if it did. A head that lost its state has ended its jobs."""
        path = f"/api/jobs/{submission_id(sweep_id, epoch)}"
        answer = self._http.get(path, timeout=_ASK_TIMEOUT)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Exit(sweep_id, epoch, "Ray knows its job no longer", blameless=True)
        answer.raise_for_status()
        job: dict[str, Any] = answer.json()
        if job["status"] not in _FINAL:
            return None
        message = str(job.get("message") or "no message").partition("\n")[0]  # then comes the log
        how = f"Ray job {job['status']}: {message[:_MESSAGE_CHARS]}"
        blameless = job.get("driver_exit_code") == EXIT_NO_RAY
        return Exit(sweep_id, epoch, exit_reason(how, self._log(path)), blameless=blameless)

    def _log(self, path: str) -> str:
        try:
            answer = self._http.get(f"{path}/logs", timeout=_ASK_TIMEOUT)
            return str(answer.raise_for_status().json()["logs"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            return f"(cannot be read: {error!r})"


def _package(token: str) -> tuple[str, bytes]:
    """A working folder with a driver's token in it, and the name that Ray gives packages."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(_TOKEN_FILE, token)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    return f"_ray_pkg_{digest[:32]}.zip", content.getvalue()
