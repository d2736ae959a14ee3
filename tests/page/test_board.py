"""The table's columns and its assignments, the budget, the history: of one sweep's page."""

from collections.abc import Callable

import httpx
from playwright.sync_api import expect

from sweep.records import Usage
from sweep.states import TrialState
from tests.page.conftest import Post, Viewer
from tests.page.feeding import Driver
from tests.page.server import Server
from tests.page.views import serious

Drive = Callable[[str], Driver]

ONE = {"task": "logical_xor", "dataset": "many_hot", "network": {"type": "multiply"}}
RATES = {**ONE, "lr": {"grid": [1e-3, 1e-2]}}
PLAIN = {"early_stopping": {"type": "none", "max_t": 900}, "parameters": RATES}


def test_columns_are_chosen_by_keyboard_and_kept(viewer: Viewer, post: Post, drive: Drive) -> None:
    sweep_id = post(**PLAIN)
    driver = drive(sweep_id)
    page = viewer.open(f"/sweeps/{sweep_id}")
    heads = page.locator("table.board thead th")
    expect(heads.filter(has_text="Last loss")).to_have_count(0)
    driver.start(1)
    driver.report(1, {30: 0.25, 60: 0.75})
    expect(heads.filter(has_text="Last loss")).to_have_count(1)
    button = page.locator("summary", has_text="Columns")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Max loss").focus()
    page.keyboard.press("Space")
    expect(heads.filter(has_text="Max loss")).to_have_count(1)
    page.get_by_role("checkbox", name="dataset").focus()
    page.keyboard.press("Space")
    expect(page.locator("table.board tbody tr").first).to_contain_text("many_hot")
    page.get_by_role("checkbox", name="Last loss").uncheck()
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    for path in (page.url.removeprefix(viewer.url), f"/sweeps/{sweep_id}"):
        viewer.open(path)
        expect(page.locator("table.board tbody tr").first).to_contain_text("0.77")
        expect(heads.filter(has_text="Last loss")).to_have_count(0)
    button.click()
    page.get_by_role("button", name="Usual columns").click()
    expect(heads.filter(has_text="Max loss")).to_have_count(0)
    assert "columns=" not in page.url


def test_a_budget_is_a_bar_and_is_edited(
    viewer: Viewer, server: Server, post: Post, drive: Drive
) -> None:
    sweep_id = post(**PLAIN, budget={"trials": 10, "gpu_hours": 2})
    driver = drive(sweep_id)
    driver.beat(Usage(trials=9, gpu_seconds=3600, seconds=1800))
    page = viewer.open(f"/sweeps/{sweep_id}")
    bars = page.locator(".budget [role=progressbar]")
    expect(bars).to_have_count(2)
    expect(bars.first).to_have_attribute("aria-valuenow", "9")
    expect(bars.first).to_have_attribute("data-level", "near")
    expect(page.locator(".budget")).to_contain_text("1 of 2")
    record_url = f"{server.url}/v1/sweeps/{sweep_id}"
    elsewhere = {"trials": 10, "gpu_hours": 2, "trial_steps": 50_000}
    httpx.patch(record_url, json={"budget": elsewhere}).raise_for_status()
    expect(bars).to_have_count(3, timeout=20_000)  # the spec is read again every 5 s at most
    page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Trial-steps")).to_have_value("50000")
    httpx.patch(record_url, json={"budget": {**elsewhere, "gpu_hours": 3}}).raise_for_status()
    form.get_by_label("GPU hours").press_sequentially("e")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-budget-gpu_hours-error")).to_contain_text("not a number")
    form.get_by_label("GPU hours").fill("2")
    form.get_by_label("Trials", exact=True).fill("0")
    form.get_by_label("Hours", exact=True).fill("0.5")
    form.get_by_label("Weight").fill("5000")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-budget-trials-error")).to_contain_text("greater than or equal to 1")
    expect(page.locator("#field-weight-error")).to_contain_text("1000")
    expect(form.get_by_label("Weight")).to_be_focused()
    assert serious(page) == []
    form.get_by_label("Trials", exact=True).fill("12")
    form.get_by_label("Weight").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    expect(bars).to_have_count(4)
    expect(bars.nth(2)).to_have_attribute("data-level", "full")
    record = httpx.get(record_url).json()
    wanted = {"trials": 12, "trial_steps": 50_000, "hours": 0.5, "gpu_hours": 3}
    assert (record["spec"]["budget"], record["weight"]) == (wanted, 2)


def test_a_front_is_of_the_objectives(viewer: Viewer, post: Post, drive: Drive) -> None:
    objectives = [{"name": "speed", "mode": "max"}]
    search = {"type": "nsga2", "num_trials": 12, "objectives": objectives}
    parameters = {**ONE, "lr": {"loguniform": {"min": 1e-3, "max": 1e-2}}}
    sweep_id = post(**{**PLAIN, "parameters": parameters}, search=search)
    drive(sweep_id).start(0)
    page = viewer.open(f"/sweeps/{sweep_id}?tab=pareto")
    expect(page.get_by_label("Across", exact=True)).to_have_value("metrics.speed")
    expect(page.get_by_label("Across is")).to_have_value("max")
    expect(page.get_by_label("Up", exact=True)).to_have_value("metrics.accuracy")


def test_assignments_are_turned_page_by_page(viewer: Viewer, post: Post) -> None:
    parameters = {**ONE, "lr": {"loguniform": {"min": 1e-3, "max": 1e-2}}}
    search = {"type": "random", "num_trials": 52}
    sweep_id = post(**{**PLAIN, "parameters": parameters}, search=search, replicates=2)
    page = viewer.open(f"/sweeps/{sweep_id}?rows=assignments")
    rows = page.locator("table.board > tbody > tr[data-assignment]")
    expect(rows).to_have_count(50)
    expect(page.locator("main")).to_contain_text("1–50 of 52 assignments")
    page.get_by_role("button", name="Next").click()
    expect(rows).to_have_count(2)
    expect(page.locator("main")).to_contain_text("51–52 of 52 assignments")
    expect(rows.first).to_have_attribute("data-assignment", "50")
    page.get_by_role("button", name="Assignment", exact=True).click()
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Assignment", exact=True).click()
    expect(rows.first).to_have_attribute("data-assignment", "51")


def test_replicates_are_one_row_that_opens(viewer: Viewer, post: Post, drive: Drive) -> None:
    sweep_id = post(**PLAIN, replicates=3)
    driver = drive(sweep_id)
    for trial in range(6):
        driver.start(trial)
    for trial, value in enumerate((0.5, 0.6, 0.7, 0.2, 0.4)):
        driver.report(trial, {30: value})
    page = viewer.open(f"/sweeps/{sweep_id}")
    page.get_by_role("radio", name="assignment").check()
    rows = page.locator("table.board > tbody > tr[data-assignment]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("0.6")
    expect(rows.first).to_contain_text("0.3516 to 0.8484")
    expect(rows.nth(1)).to_contain_text("2 of 3")
    rows.first.get_by_role("button").press("Enter")
    replicates = page.locator("tr.detail tbody tr")
    expect(replicates).to_have_count(3)
    expect(replicates.nth(2)).to_contain_text("0.7")
    driver.report(5, {30: 0.9})
    expect(rows.nth(1)).to_contain_text("0.5")
    expect(replicates).to_have_count(3)
    assert serious(page) == []
    page.get_by_role("button", name="Best replicate").click()
    expect(rows.first).to_contain_text("0.9")
    page.get_by_role("button", name="Mean best accuracy").click()
    expect(rows.first).to_contain_text("0.6")
    page.get_by_label("Filter trials").fill("replicate > 0")
    expect(rows.first).to_contain_text("0.65")
    assert "rows=assignments" in page.url


def test_what_happened_is_told_newest_first(viewer: Viewer, post: Post, drive: Drive) -> None:
    sweep_id = post(**PLAIN)
    driver = drive(sweep_id)
    driver.start(0)
    driver.exploit(0, donor=1, lr=0.002)
    driver.start(1)
    driver.move(1, TrialState.PENDING, "error", "Traceback\nValueError: no")
    page = viewer.open(f"/sweeps/{sweep_id}?tab=history")
    items = page.locator(".timeline > li")
    expect(items.nth(0)).to_contain_text("tries again trial #1")
    expect(items.nth(1)).to_contain_text("0.001 → 0.002")
    expect(items.nth(1)).not_to_contain_text("many_hot")
    expect(items.nth(1).get_by_role("link", name="trial #1")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(items.first).to_contain_text("local asked for a pause")
    expect(items.last).to_contain_text("posted the sweep")
    viewer.open(f"/trials/{sweep_id}-0")
    expect(items).to_have_count(1)
    expect(items).to_contain_text("a better one's state")


def test_many_trials_are_drawn_and_the_rest_is_counted(viewer: Viewer, post: Post) -> None:
    rate = {"loguniform": {"min": 1e-4, "max": 1e-1}}
    size = {"randint": {"min": 8, "max": 64}}
    parameters = {**ONE, "lr": rate, "batch_size": size}
    search = {"type": "random", "num_trials": 2_100}
    sweep_id = post(**{**PLAIN, "parameters": parameters}, search=search)
    page = viewer.open(f"/sweeps/{sweep_id}")
    expect(page.get_by_text("The first 2,000 of 2,100 trials are drawn")).to_be_visible()
    expect(page.locator(".parallel:not([data-drawing])")).to_be_visible()
    blank = "c => !c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)"
    assert not page.locator(".parallel canvas").evaluate(blank)
