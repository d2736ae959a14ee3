"""What the service's roles ask for, and what they say when it is not there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from service.dispatch.pulse import AWAY_AFTER, Pulse
from service.health_server import health_app
from service.ray_auth import ray_environment, ray_token
from service.settings import Settings
from service.store.open import migrate
from sweep.errors import SweepError


def run(
    command: str, home: Path, settings: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SWEEP_")}
    return subprocess.run(
        [sys.executable, "-m", "service", command, "--home", str(home)],
        env={**variables, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("role", ["api", "dispatch"])
def test_a_role_leaves_an_old_schema_to_the_operator(role: str, home: Path) -> None:
    answer = run(role, home, {"SWEEP_PUBLIC_URL": "http://a:1"})
    assert answer.returncode == 1
    assert "run `python -m service migrate`" in answer.stderr
    assert not (home / "ray.json").exists()


def test_a_dispatcher_needs_to_know_where_the_api_is(home: Path) -> None:
    migrate(f"sqlite:///{home / 'sweep.db'}")
    answer = run("dispatch", home, {})
    assert answer.returncode == 1
    assert "a dispatcher needs SWEEP_PUBLIC_URL" in answer.stderr


def test_the_health_page_tells_what_is_wrong() -> None:
    time = [datetime(2026, 1, 1, tzinfo=UTC)]
    pulse = Pulse(lambda: time[0])
    client = TestClient(health_app(pulse.trouble))
    assert client.get("/healthz").json() == {"status": "ok"}
    pulse.store_away()
    time[0] += AWAY_AFTER + timedelta(seconds=1)
    pulse.store_away()
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["reason"].startswith("the store has been away since 2026-01-01")
    pulse.store_back()
    assert client.get("/healthz").status_code == 200
    time[0] += timedelta(hours=1)
    assert client.get("/healthz").json()["reason"].startswith("the loop has stood still")


def test_several_public_urls_are_tried_in_their_order() -> None:
    assert Settings(public_url="http://a:1/, http://b:2,").public_urls == (
        "http://a:1",
        "http://b:2",
    )
    assert Settings().public_urls == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"public_url": "http://a,b:80"}, "public_url: 'b:80' is no URL"),
        ({"ray_jobs_url": "ray-head:8265"}, "ray_jobs_url: 'ray-head:8265' is no URL"),
        ({"launcher": "ray-job"}, "needs SWEEP_RAY_JOBS_URL"),
    ],
)
def test_settings_that_cannot_work_say_what_to_do(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(fields)


def test_an_empty_variable_is_one_that_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_RAY_ADDRESS", "")
    assert Settings().ray_address is None


def test_rays_token_is_ours_or_the_one_that_ray_would_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    on = {"RAY_AUTH_MODE": "token"}
    assert ray_token(Settings.model_validate({"ray_auth_token": "given"}), on) == "given"
    assert ray_token(Settings(), {"RAY_AUTH_TOKEN": "unused"}) is None
    assert ray_token(Settings(), {**on, "RAY_AUTH_TOKEN": "variable"}) == "variable"
    (tmp_path / "file").write_text("from file\n")
    assert (
        ray_token(Settings(), {**on, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "file")}) == "from file"
    )
    with pytest.raises(SweepError, match="set SWEEP_RAY_AUTH_TOKEN"):
        ray_token(Settings(), on)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("from home")
    assert ray_token(Settings(), on) == "from home"


def test_drivers_get_rays_address_and_token() -> None:
    settings = Settings.model_validate({"ray_address": "head:6379", "ray_auth_token": "secret"})
    assert ray_environment(settings, {}) == {
        "RAY_ADDRESS": "head:6379",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "secret",
    }
    assert "secret" not in repr(settings)
