"""A headless Chromium, and the real service in a process of its own."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.page.feeding import SPEC, Driver
from tests.page.server import Server

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

_EMPTY_STYLE = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""Plotly clears a colour bar's style by an empty attribute, which the policy refuses too."""


@pytest.fixture(scope="package")  # its event loop must be over when other tests run theirs
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs a Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service for one person, without tokens."""
    with Server(tmp_path_factory.mktemp("service")) as running:
        yield running


@dataclass
class Viewer:
    """A page of a browser, and what went wrong in it."""

    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Open a page of the service and wait until it is drawn."""
        self.page.goto(f"{self.url}{path}")
        self.page.wait_for_selector("main[data-ready]")
        return self.page


def watched(context: BrowserContext, url: str) -> Viewer:
    """A viewer that notes every error of scripts and of the security policy."""
    viewer = Viewer(context.new_page(), url)
    viewer.page.set_default_timeout(20_000)

    def heard(message: ConsoleMessage) -> None:
        harmless = "Failed to load resource" in message.text or _EMPTY_STYLE in message.text
        if message.type == "error" and not harmless:
            viewer.troubles.append(message.text)

    viewer.page.on("console", heard)
    viewer.page.on("pageerror", lambda error: viewer.troubles.append(str(error)))
    return viewer


@pytest.fixture
def viewer(browser: Browser, server: Server) -> Iterator[Viewer]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = watched(context, server.url)
    yield made
    context.close()
    assert made.troubles == []


Post = Callable[..., str]


@pytest.fixture
def post(server: Server) -> Post:
    """Posts a sweep; its id."""

    def send(**fields: Any) -> str:
        answer = httpx.post(f"{server.url}/v1/sweeps", json={**SPEC, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return send


@pytest.fixture
def drive(server: Server) -> Iterator[Callable[[str], Driver]]:
    """Takes a sweep on as its driver."""
    drivers: list[Driver] = []

    def take(sweep_id: str) -> Driver:
        drivers.append(Driver(server.url, server.store, sweep_id))
        return drivers[-1]

    yield take
    for driver in drivers:
        driver.__exit__()
