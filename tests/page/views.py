"""Every view of the page, with a sweep to show: for checks that go over all of them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from sweep.study import find_study
from tests.page.feeding import SPEC, TASKS, Driver, play, play_population, product_messages
from tests.page.server import Server

TABS = (
    *("trials", "curves", "pivot", "importance", "pareto"),
    *("stopping", "resources", "failures", "history", "spec"),
)
NAMES = (
    *("sweeps", "running", "assignments", *(f"sweep-{tab}" for tab in TABS)),
    *("trial", "trial-failed", "compare", "compare-choice", "submit", "studies", "study"),
    *("sweep-population", "not-found"),
)
DEMO: Mapping[str, object] = {
    **SPEC,
    "parameters": {
        "task": {"grid": list(TASKS)},
        "dataset": "many_hot",
        "network": {
            "grid": [
                {"type": "dense", "depth": 2, "activation": "relu"},
                {"type": "dense_residual", "depth": 2, "activation": "relu"},
                {"type": "multiply"},
                {"type": "multiply_simple"},
            ]
        },
        "lr": {"grid": [1e-4, 1e-3, 1e-2]},
    },
    "budget": {"trials": 80, "trial_steps": 60_000, "hours": 1.5},
}
SEEDS: Mapping[str, object] = {
    **SPEC,
    "name": "multiply-seeds",
    "replicates": 4,
    "parameters": {
        **SPEC["parameters"],
        "task": {"grid": ["elementwise_mul", "logical_xor"]},
        "lr": {"grid": [1e-3, 1e-2]},
    },
}
POPULATION: Mapping[str, object] = {
    **SPEC,
    "name": "multiply-population",
    "parameters": {
        "task": "elementwise_mul",
        "dataset": "many_hot",
        "network": {"type": "multiply"},
        "lr": {"loguniform": {"min": 1e-4, "max": 1e-1}},
        "batch_size": {"choice": [16, 32, 64]},
    },
    "search": {"type": "random", "num_trials": 12},
    "early_stopping": {
        "type": "pbt",
        "interval": 300,
        "max_t": 900,
        "perturb": ["lr", "batch_size"],
    },
    "pack": "off",
}

_SETTLED = """() => !document.querySelector('main [aria-busy=true]')
    && !document.querySelector('main [data-drawing]')
    && [...document.images].every((image) => image.complete)
    && [...document.querySelectorAll('.live')].every((one) =>
        ['live', 'ended'].includes(one.dataset.status))"""


_FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def fill(server: Server) -> Mapping[str, str]:
    """Sweeps that have ended and one that runs; the path of each view."""
    done = _post(server, {**DEMO, "name": "arithmetic-grid"})
    with Driver(server.url, server.store, done, ago=timedelta(minutes=41)) as driver:
        play(driver, ended=len(driver.tasks))
        driver.finish()
    seeds = _post(server, SEEDS)
    with Driver(server.url, server.store, seeds, ago=timedelta(minutes=35)) as driver:
        play(driver, ended=len(driver.tasks))
        driver.finish()
    _post(server, {**SPEC, "name": "wide-network-search", "tags": ["demo", "wide"]})
    (product,) = find_study("product").read_specs("quick")
    study = _post(server, product.model_dump(mode="json"))
    with Driver(server.url, server.store, study) as driver:
        driver.send(*product_messages(driver.tasks))
        driver.finish()
    running = _post(server, DEMO)
    with Driver(server.url, server.store, running, ago=timedelta(minutes=29)) as driver:
        play(driver, ended=44, begun=6)
    population = _post(server, POPULATION)
    with Driver(server.url, server.store, population, ago=timedelta(minutes=12)) as driver:
        play_population(driver)
    httpx.patch(f"{server.url}/v1/sweeps/{running}", json={"max_concurrent": 6, "priority": 2})
    return {
        "sweeps": "/",
        "running": f"/sweeps/{running}",
        "assignments": f"/sweeps/{seeds}?rows=assignments",
        **{f"sweep-{tab}": f"/sweeps/{done}?tab={tab}" for tab in TABS},
        "sweep-history": f"/sweeps/{population}?tab=history",
        "sweep-population": f"/sweeps/{population}?tab=stopping",
        "trial": f"/trials/{done}-8",
        "trial-failed": f"/trials/{done}-6",
        "compare": f"/compare?sweeps={done},{running}&by=parameters.network",
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
    at_rest(page)


def at_rest(page: Page) -> None:
    """Wait until nothing is being fetched or drawn, and live events come."""
    page.evaluate(_FRAME)
    page.wait_for_function(_SETTLED, timeout=60_000)


def serious(page: Page, *, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds serious or critical, with the elements; of some of its rules, or of all."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    only = {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("(options) => axe.run(options)", {"resultTypes": ["violations"], **only})
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def _post(server: Server, spec: Mapping[str, object]) -> str:
    answer = httpx.post(f"{server.url}/v1/sweeps", json=spec)
    return str(answer.raise_for_status().json()["id"])


def home(folder: Path) -> Path:
    """A fresh home for a service under a folder."""
    made = folder / "home"
    made.mkdir(parents=True)
    return made
