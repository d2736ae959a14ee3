"""Every view of the page, with a sweep to show: for checks that go over all of them."""

from collections.abc import Mapping
from pathlib import Path

import httpx
from playwright.sync_api import Page

from sweep.study import find_study
from tests.page.feeding import SPEC, Driver, play, product_messages
from tests.page.server import Server

TABS = (
    *("trials", "curves", "pivot", "importance", "pareto"),
    *("stopping", "resources", "failures", "spec"),
)
NAMES = (
    *("sweeps", "running", *(f"sweep-{tab}" for tab in TABS)),
    *("trial", "trial-failed", "compare", "compare-choice", "submit", "studies", "study"),
    "not-found",
)

_SETTLED = """() => !document.querySelector('main [aria-busy=true]')
    && [...document.images].every((image) => image.complete)"""


def fill(server: Server) -> Mapping[str, str]:
    """A sweep that has ended and one that runs; the path of each view."""
    ended = _post(server, {**SPEC, "name": "arithmetic-grid"})
    with Driver(server.url, server.store, ended) as driver:
        play(driver, ended=len(driver.tasks))
        driver.finish()
    running = _post(server, SPEC)
    with Driver(server.url, server.store, running) as driver:
        play(driver, ended=22)
    _post(server, {**SPEC, "name": "wide-network-search", "tags": ["demo", "wide"]})
    (product,) = find_study("product").read_specs("quick")
    study = _post(server, product.model_dump(mode="json"))
    with Driver(server.url, server.store, study) as driver:
        driver.send(*product_messages(driver.tasks))
        driver.finish()
    return {
        "sweeps": "/",
        "running": f"/sweeps/{running}",
        **{f"sweep-{tab}": f"/sweeps/{ended}?tab={tab}" for tab in TABS},
        "trial": f"/trials/{ended}-8",
        "trial-failed": f"/trials/{ended}-6",
        "compare": f"/compare?sweeps={ended},{running}&by=parameters.network",
        "compare-choice": "/compare",
        "submit": "/submit",
        "studies": "/studies",
        "study": "/studies/product",
        "not-found": "/sweeps/nope",
    }


def settle(page: Page, url: str) -> None:
    """Open a view and wait until nothing in it is being fetched or drawn any more."""
    page.goto(url)
    page.wait_for_selector("main[data-ready]")
    page.wait_for_function(_SETTLED, timeout=60_000)


def _post(server: Server, spec: Mapping[str, object]) -> str:
    answer = httpx.post(f"{server.url}/v1/sweeps", json=spec)
    return str(answer.raise_for_status().json()["id"])


def home(folder: Path) -> Path:
    """A fresh home for a service under a folder."""
    made = folder / "home"
    made.mkdir(parents=True)
    return made
