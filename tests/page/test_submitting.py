"""Writing a sweep on the page."""

import re
from typing import Any

import httpx
from playwright.sync_api import expect

from sweep.parameters import kinds_named
from tests.page.conftest import Viewer
from tests.page.server import Server

BAD = """name: my-sweep
trainable: arithmetic
metric: {name: acuracy, mode: max}
parameters:
  task: {grid: [logical_xor]}
  dataset: many_hot
  network: {type: multiply}
  lr:
    loguniform: {min: 1, max: 0.1}
search: {type: random, num_trials: 4}
early_stopping: {type: asha, grace_period: 300, max_t: 100}
"""


def test_an_error_shows_at_its_field_and_goes_when_it_is_mended(viewer: Viewer) -> None:
    page = viewer.open("/submit")
    expect(page.get_by_text("The spec is valid.")).to_be_visible()
    area = page.get_by_role("textbox")
    area.fill(BAD)
    problems = page.locator(".problems li")
    expect(problems.filter(has_text="lr")).to_contain_text("Line 9")
    remark = page.locator(".backdrop .line.bad")
    expect(remark.first).to_contain_text("min 1.0 is above max 0.1")
    expect(page.get_by_role("button", name="Start the sweep")).to_be_disabled()
    area.fill(BAD.replace("min: 1, max: 0.1", "min: 0.1, max: 1"))
    expect(problems.filter(has_text="early_stopping.grace_period")).to_contain_text("Line 11")
    problems.get_by_role("button").first.click()
    expect(area).to_be_focused()
    good = BAD.replace("min: 1, max: 0.1", "min: 0.1, max: 1").replace("max_t: 100", "max_t: 900")
    area.fill(good)
    expect(problems).to_contain_text(["metric.name"])
    expect(problems.first).to_contain_text("Line 3")
    area.fill(good.replace("acuracy", "accuracy"))
    expect(page.get_by_text("The spec is valid.")).to_be_visible()


def test_yaml_that_cannot_be_read_shows_its_line(viewer: Viewer) -> None:
    page = viewer.open("/submit")
    page.get_by_role("textbox").fill("name: x\nmetric: {name: a\n")
    expect(page.locator(".problems li")).to_contain_text("Line 3")


def test_the_preview_tells_what_would_run_and_starting_leads_there(
    viewer: Viewer, server: Server
) -> None:
    before = len(httpx.get(f"{server.url}/v1/sweeps").json()["items"])
    page = viewer.open("/submit")
    expect(page.locator(".facts")).to_contain_text("40")
    assert len(httpx.get(f"{server.url}/v1/sweeps").json()["items"]) == before
    area = page.get_by_role("textbox")
    area.fill(area.input_value() + "budget: {trials: 30}\n")
    expect(page.get_by_text("The budget of 30 trials is short: 10 would not run.")).to_be_visible()
    page.get_by_label("Start from an example").select_option(label="product: product-quick")
    expect(page.locator(".backdrop")).to_contain_text("trainable: product")
    expect(page.get_by_text("The spec is valid.")).to_be_visible()
    page.get_by_role("button", name="Start the sweep").click()
    page.wait_for_url(re.compile("/sweeps/[a-z0-9]+$"))
    expect(page.locator("h1")).to_contain_text("product-quick")
    assert len(httpx.get(f"{server.url}/v1/sweeps").json()["items"]) == before + 1


def test_the_page_tells_kinds_from_parameters_that_bear_their_names(viewer: Viewer) -> None:
    page = viewer.open("/submit")
    module = page.locator('script[type="module"]').first.get_attribute("src")
    assert module is not None
    script = "async ([url, p]) => (await import(new URL(url, document.baseURI))).varying(p)"
    bodies: list[Any] = [0.9, [0.9], {}, {"c": 1}, {"grid": [1, 2]}, {"a": 1}, {"b": 2}]
    for body in [{"a": 1, "b": 2}, *bodies]:
        node = {"beta": body}
        found = page.evaluate(script, [module.replace("app.js", "spec.js"), {"p": node}])
        told = [one["kind"] for one in found if one["path"] == "p"]
        assert told == kinds_named(node), body
