"""The service's settings, read from the environment when constructed and not before."""

import ipaddress
import sys
from pathlib import Path
from typing import Literal, Self

import platformdirs
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sweep.records import CodeLimits
from sweep.space import MAX_TRIALS
from sweep.storage import check_root

_CODE = CodeLimits()


class Settings(BaseSettings):
    """Each is an environment variable: `SWEEP_` and the field's name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="SWEEP_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("sweep")),
        description="Folder for the SQLite database, logs, spool files and checkpoints.",
    )
    database_url: str = Field(
        default="", description="SQLAlchemy URL; a SQLite file in `home` when not given."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8080, ge=1, le=65_535, description="Port; the next free one when it is taken."
    )
    public_url: str | None = Field(
        default=None,
        description="URL at which drivers reach the service, when not its own; several, with "
        "commas between them, where several API servers run.",
    )
    embedded: bool = Field(
        default=False, description="One person on a loopback address: no tokens are needed."
    )
    ray_address: str | None = Field(
        default=None, description="Ray cluster to run on; a local one is started when not given."
    )
    launcher: Literal["local", "ray-job"] = Field(
        default="local",
        description="How drivers run: as processes of this machine, or as jobs of a Ray cluster.",
    )
    ray_jobs_url: str | None = Field(
        default=None,
        description="URL of the Ray dashboard that takes jobs, such as http://ray-head:8265.",
    )
    ray_auth_token: SecretStr | None = Field(
        default=None,
        description="Ray's token; else the one that Ray's own variables name, when "
        "RAY_AUTH_MODE is token.",
    )
    max_running_sweeps: int = Field(
        default=4, ge=1, description="Sweeps that run at once, of one priority and those above it."
    )
    max_trials: int = Field(
        default=MAX_TRIALS, ge=1, le=MAX_TRIALS, description="Trials that one sweep may have."
    )
    lease_s: float = Field(
        default=20.0,
        ge=1,
        description="Seconds without a sign of life after which a driver is lost.",
    )
    pause_grace_s: float = Field(
        default=60.0,
        ge=0,
        description="Seconds that a pause waits for trials to save their states; a trial that "
        "has not by then goes on later from the last one that it saved.",
    )
    max_batches: int = Field(
        default=4,
        ge=1,
        description="Drivers' batches that one API process works on at once; one more is "
        "answered with 429, and its driver sends it again later.",
    )
    start_s: float = Field(
        default=60.0,
        ge=1,
        description="Seconds that a new driver has until its first sign of life; more where Ray "
        "jobs wait for a node.",
    )
    checkpoint_root: str = Field(
        default="",
        description="Folder for trials' saved states, which all nodes must reach: a path, or a URL "
        "that fsspec knows, such as s3://bucket/folder; in `home` when not given.",
    )
    code_max_mb: int = Field(
        default=_CODE.archive_bytes >> 20,
        ge=1,
        le=400,
        description="MiB that an archive of a user's own code may have.",
    )
    code_max_unpacked_mb: int = Field(
        default=_CODE.unpacked_bytes >> 20,
        ge=1,
        le=4_096,
        description="MiB that the files in an archive of code may have together.",
    )
    code_max_files: int = Field(
        default=_CODE.files, ge=1, le=100_000, description="Entries that an archive may have."
    )
    code_keep_hours: float = Field(
        default=24.0,
        ge=1,
        description="Hours after its last use that an archive is kept which no sweep names.",
    )
    python: str | None = Field(
        default=None,
        description="Interpreter that runs drivers: the service's own, or `python` on the cluster "
        "for Ray jobs, when not given.",
    )

    @field_validator("checkpoint_root")
    @classmethod
    def _root_has_a_form(cls, root: str) -> str:
        return check_root(root) if root else ""

    @model_validator(mode="after")
    def _embedded_is_local(self) -> Self:
        if self.embedded and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host!r} can be reached by others, and embedded mode asks nobody for "
                "a token: listen on 127.0.0.1, or run `python -m service serve`"
            )
        return self

    @model_validator(mode="after")
    def _urls_are_urls(self) -> Self:
        given = [("public_url", url) for url in self.public_urls]
        given += [("ray_jobs_url", self.ray_jobs_url)] if self.ray_jobs_url else []
        for name, url in given:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{name}: {url!r} is no URL: it starts with http:// or https://")
        if self.launcher == "ray-job" and not self.ray_jobs_url:
            raise ValueError(
                "SWEEP_LAUNCHER=ray-job needs SWEEP_RAY_JOBS_URL, the URL of the Ray dashboard"
            )
        return self

    @property
    def public_urls(self) -> tuple[str, ...]:
        """The URLs at which drivers reach the service, when given, in the order to try them."""
        given = (self.public_url or "").split(",")
        return tuple(url.strip().rstrip("/") for url in given if url.strip())

    @property
    def local_python(self) -> str:
        """The interpreter that runs drivers on this machine."""
        return self.python or sys.executable

    @property
    def code_limits(self) -> CodeLimits:
        """What an archive of code may be."""
        return CodeLimits(
            archive_bytes=self.code_max_mb << 20,
            unpacked_bytes=self.code_max_unpacked_mb << 20,
            files=self.code_max_files,
        )

    @property
    def store_url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.home / 'sweep.db'}"

    @property
    def checkpoints(self) -> str:
        """The folder for saved states."""
        return self.checkpoint_root or str((self.home / "checkpoints").absolute())


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, out of others' reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
