"""A browser watches a sweep whose driver reports over REST."""

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Locator, Page, expect

from sweep.states import SweepState, TrialState
from tests.page.conftest import Post, Viewer
from tests.page.feeding import Driver
from tests.page.server import Server

Drive = Callable[[str], Driver]


def drag(page: Page, plot: Locator, axis: Locator, *, to: float) -> None:
    """Drag along an axis from its top to a share of its length, once the plot is at rest."""
    x, top, bottom = (float(axis.get_attribute(name) or "") for name in ("x1", "y1", "y2"))
    plot.hover(position={"x": x, "y": top + 1})
    page.mouse.down()
    plot.hover(position={"x": x, "y": top + (bottom - top) * to})
    page.mouse.up()


_LATEST = """async (address) => {
    const { latest } = await import(address);
    const element = document.createElement('div');
    const told = [];
    const guarded = latest(element, (error) => told.push(error.message));
    const first = guarded((signal) => new Promise((_, refuse) => {
        signal.addEventListener('abort', () => refuse(new Error('of the first')));
    }));
    await guarded(async () => {
        await first;
        told.push(element.ariaBusy);
        throw new Error('of the last');
    });
    return [...told, element.ariaBusy];
}"""


def test_only_the_last_of_what_is_asked_for_again_counts(viewer: Viewer) -> None:
    page = viewer.open("/")
    address = page.evaluate("document.querySelector('script[type=module]').src")
    told = page.evaluate(_LATEST, address.replace("app.js", "api.js"))
    assert told == ["true", "of the last", None]


def test_the_leaderboard_follows_the_driver(viewer: Viewer, post: Post, drive: Drive) -> None:
    sweep_id = post()
    driver = drive(sweep_id)
    page = viewer.open(f"/sweeps/{sweep_id}")
    rows = page.locator("table.board tbody tr")
    expect(rows).to_have_count(45)
    driver.start(7)
    driver.report(7, {30: 0.4})
    expect(rows.first).to_contain_text("#7")
    expect(rows.first).to_contain_text("0.4")
    expect(rows.first.locator(".pill")).to_have_text("running")
    driver.start(3)
    driver.report(3, {30: 0.75})
    expect(rows.first).to_contain_text("#3")
    expect(rows.nth(1)).to_contain_text("#7")
    driver.move(3, TrialState.COMPLETED, "max_t")
    expect(rows.first.locator(".pill")).to_have_text("completed")
    expect(page.locator(".head .bar")).to_have_attribute("aria-valuenow", "1")
    expect(page.locator(".facts")).to_contain_text("0.75")


def test_a_select_offers_what_trials_come_to_report(
    viewer: Viewer, post: Post, drive: Drive
) -> None:
    sweep_id = post()
    driver = drive(sweep_id)
    page = viewer.open(f"/sweeps/{sweep_id}")
    for tab in ("Curves", "Pareto", "Pivot"):
        page.get_by_role("tab", name=tab).click()
    driver.start(0)
    driver.report(0, {30: 0.4})
    expect(page.locator("table.board thead th", has_text="Last loss")).to_have_count(1)
    for tab, label, known in (
        ("Curves", "Metric", 1),
        ("Pareto", "Across", 5),
        ("Pivot", "Metric", 2),
    ):
        page.get_by_role("tab", name=tab).click()
        select = page.get_by_role("tabpanel").get_by_label(label, exact=True)
        chosen = select.input_value()
        expect(select.get_by_role("option")).to_have_count(known)
        select.focus()
        expect(select.get_by_role("option", name="loss").first).to_be_attached()
        expect(select).to_have_value(chosen)


def test_the_list_follows_too(viewer: Viewer, post: Post, drive: Drive) -> None:
    page = viewer.open("/")
    sweep_id = post(name="watched-from-the-list")
    row = page.locator(f'tr[data-sweep="{sweep_id}"]')
    expect(row.locator(".wide .pill")).to_have_text("queued")
    driver = drive(sweep_id)
    driver.start(0)
    driver.report(0, {30: 0.625})
    expect(row.locator(".wide .pill")).to_have_text("running")
    expect(row).to_contain_text("0.625")


def test_a_filter_narrows_the_table_and_the_plots(viewer: Viewer, post: Post, drive: Drive) -> None:
    sweep_id = post()
    driver = drive(sweep_id)
    for trial in range(6):
        driver.start(trial)
        driver.report(trial, {30: 0.1 * (trial + 1)})
    page = viewer.open(f"/sweeps/{sweep_id}")
    expect(page.locator("table.board tbody tr")).to_have_count(45)
    with page.expect_request(re.compile("/trials\\?.*best\\+%3E\\+0\\.35.*fields=")):
        page.get_by_label("Filter trials").fill("best > 0.35")
    expect(page.locator("table.board tbody tr")).to_have_count(3)
    expect(page.locator(".summary")).to_have_text("3 trials")
    assert "filter=best" in page.url
    with page.expect_request(re.compile("/figures/curves")) as drawn:
        page.get_by_role("tab", name="Curves").click()
    assert "best+%3E+0.35" in drawn.value.url


def test_a_mark_on_an_axis_narrows_the_table(viewer: Viewer, post: Post, drive: Drive) -> None:
    """It keeps meaning the same values when the axis grows with a better trial."""
    sweep_id = post()
    driver = drive(sweep_id)
    for trial in range(6):
        driver.start(trial)
        driver.report(trial, {30: 0.1 * (trial + 1)})
    page = viewer.open(f"/sweeps/{sweep_id}")
    axes = page.locator(".parallel .axes")
    expect(axes.locator("line.axis")).to_have_count(4)
    drag(page, axes, axes.locator("line.axis").last, to=0.5)
    chip = page.locator(".chip")
    expect(chip).to_contain_text("best >= 0.3")
    expect(page.locator("table.board tbody tr")).to_have_count(3)
    marked = chip.inner_text()
    driver.start(6)
    driver.report(6, {30: 2.6})
    expect(page.locator("table.board tbody tr")).to_have_count(4)
    expect(axes.locator("text", has_text="2.6")).to_have_count(1)
    drag(page, axes, axes.locator("line.axis").first, to=0.6)
    expect(chip).to_have_count(2)
    expect(chip.last).to_have_text(marked)
    chip.first.click()
    expect(chip).to_have_count(1)
    chip.click()
    expect(page.locator("table.board tbody tr")).to_have_count(45)


def test_an_error_of_a_filter_shows_at_its_column(viewer: Viewer, post: Post) -> None:
    page = viewer.open(f"/sweeps/{post()}")
    box = page.get_by_label("Filter trials")
    box.fill("best >> 0.5")
    error = page.locator(".filter-error")
    expect(error.locator("mark")).to_have_text(">")
    expect(error.get_by_role("button")).to_have_text("Column 7")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.fill("best > 0.5")
    expect(error).to_be_empty()


def test_fields_and_values_are_completed(viewer: Viewer, post: Post) -> None:
    page = viewer.open(f"/sweeps/{post()}")
    page.keyboard.press("/")
    box = page.get_by_label("Filter trials")
    expect(box).to_be_focused()
    page.keyboard.type("sta")
    expect(page.get_by_role("option").first).to_contain_text("state")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("== 'pen")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(box).to_have_value("state == 'pending' ")
    page.keyboard.press("Escape")
    expect(page.locator("table.board tbody tr")).to_have_count(45)


def test_columns_sort_and_pages_turn(viewer: Viewer, post: Post) -> None:
    sweep_id = post(replicates=3)
    page = viewer.open(f"/sweeps/{sweep_id}")
    head = page.get_by_role("columnheader", name="Trial")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    rows = page.locator("table.board tbody tr")
    expect(rows.first).to_contain_text("#0")
    page.get_by_role("button", name="Next").click()
    expect(rows.first).to_contain_text("#50")
    page.get_by_role("button", name="Previous").click()
    expect(rows.first).to_contain_text("#0")


def test_cancel_asks_and_then_cancels(
    viewer: Viewer, server: Server, post: Post, drive: Drive
) -> None:
    sweep_id = post()
    driver = drive(sweep_id)
    page = viewer.open(f"/sweeps/{sweep_id}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep as it is").click()
    assert driver.beat()["wanted"] == "run"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the sweep").click()
    expect(page.locator(".head")).to_contain_text("being cancelled")
    assert driver.beat()["wanted"] == "cancel"
    queued = post()
    page = viewer.open(f"/sweeps/{queued}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the sweep").click()
    expect(page.locator("h1 .pill")).to_have_text("cancelled")
    assert httpx.get(f"{server.url}/v1/sweeps/{queued}").json()["state"] == "cancelled"


def test_pause_resume_and_edit(viewer: Viewer, server: Server, post: Post) -> None:
    sweep_id = post()
    page = viewer.open(f"/sweeps/{sweep_id}")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h1 .pill")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("h1 .pill")).to_have_text("queued")
    page.get_by_role("button", name="Edit").click()
    elsewhere = httpx.patch(f"{server.url}/v1/sweeps/{sweep_id}", json={"weight": 4})
    elsewhere.raise_for_status()
    page.get_by_label("Trials at once").fill("3")
    page.get_by_label("Priority (higher").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_contain_text(["Saved."])
    record = httpx.get(f"{server.url}/v1/sweeps/{sweep_id}").json()
    found = (record["spec"]["max_concurrent"], record["priority"], record["weight"])
    assert found == (3, 7, 4)


def test_failed_trials_are_shown_with_their_traceback_and_tried_again(
    viewer: Viewer, server: Server, post: Post, drive: Drive
) -> None:
    """The sweep has ended by then: once it goes on, the page follows it again."""
    sweep_id = post()
    driver = drive(sweep_id)
    driver.start(0)
    driver.move(0, TrialState.FAILED, "error", "Traceback\n<b>ValueError</b>: no")
    page = viewer.open(f"/sweeps/{sweep_id}?tab=failures")
    page.locator("summary", has_text="ValueError").click()
    expect(page.locator(".failure pre")).to_contain_text("<b>ValueError</b>")
    driver.finish(SweepState.FAILED)
    expect(page.locator(".live")).to_have_attribute("data-status", "ended")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".failure")).to_have_count(0)
    httpx.post(f"{server.url}/v1/sweeps/{sweep_id}/pause").raise_for_status()
    expect(page.locator("h1 .pill")).to_have_text("paused")


def test_what_people_write_shows_as_text(viewer: Viewer, post: Post, drive: Drive) -> None:
    name = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
    sweep_id = post(name=name, description=name, tags=["<b>tag</b>"])
    driver = drive(sweep_id)
    driver.start(0)
    driver.move(0, TrialState.FAILED, name, name)
    for path in ("/", f"/sweeps/{sweep_id}", f"/trials/{sweep_id}-0"):
        page = viewer.open(path)
        expect(page.get_by_text(name).first).to_be_visible()
        assert page.locator("main script, main img").count() == 0
        assert "owned" not in page.title().split(" · ")[0].replace(name, "")
