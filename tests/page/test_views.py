"""Every view: no serious fault of accessibility, no error, nothing wider than the screen."""

import re
from collections.abc import Iterator, Mapping

import pytest
from playwright.sync_api import Browser, expect

from tests.page.conftest import Viewer, watched
from tests.page.server import Server
from tests.page.views import NAMES, at_rest, fill, serious, settle

WIDE = {"width": 1280, "height": 844}
PHONE = {"width": 390, "height": 844}
LOOKS = {"light": (WIDE, "light"), "phone": (PHONE, "light"), "dark": (WIDE, "dark")}
COLOURS = ("color-contrast",)
"""All that dark colours can change."""
PLOTTED = ("curves", "pivot", "importance", "pareto", "stopping", "population", "resources")


@pytest.fixture(scope="module")
def paths(server: Server) -> Mapping[str, str]:
    return fill(server)


@pytest.fixture(scope="module")
def looked(browser: Browser, server: Server) -> Iterator[Viewer]:
    context = browser.new_context(reduced_motion="reduce")
    yield watched(context, server.url)
    context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_view_has_no_serious_fault(looked: Viewer, paths: Mapping[str, str], name: str) -> None:
    """In light, then as wide as a phone, then in dark; figures are laid out anew each time."""
    page = looked.page
    looked.troubles.clear()
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    settle(page, looked.url + paths[name])
    for look, (size, scheme) in LOOKS.items():
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        at_rest(page)
        assert (look, serious(page, rules=COLOURS if look == "dark" else ())) == (look, [])
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (look, wide <= 0) == (look, True)
        if name.removeprefix("sweep-") in PLOTTED:
            expect(page.locator(".plot .main-svg").first).to_be_visible()
            expect(page.locator("figcaption strong").first).not_to_be_empty()
    assert looked.troubles == []


def test_an_empty_service_says_what_to_do(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Server(tmp_path_factory.mktemp("empty")) as empty:
        context = browser.new_context()
        viewer = watched(context, empty.url)
        settle(viewer.page, empty.url)
        expect(viewer.page.get_by_role("heading", name="No sweep yet")).to_be_visible()
        expect(viewer.page.locator("main")).to_contain_text(f"{empty.url}/v1/sweeps")
        assert serious(viewer.page) == []
        context.close()
    assert viewer.troubles == []


def test_keys_alone_reach_the_content_and_the_tabs(
    viewer: Viewer, paths: Mapping[str, str]
) -> None:
    page = viewer.page
    settle(page, viewer.url + paths["sweep-trials"])
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("tab", name="Trials").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Spec")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_contain_text("arithmetic-grid")


def test_each_explored_parameter_of_a_population_is_drawn(
    viewer: Viewer, paths: Mapping[str, str]
) -> None:
    page = viewer.page
    settle(page, viewer.url + paths["sweep-population"])
    caption = page.locator("figcaption")
    expect(caption).to_contain_text("Lr while training")
    expect(caption).to_contain_text("12 trials, 8 went on from another's state")
    expect(page.locator(".plot .points path")).to_have_count(8)
    page.get_by_label("Parameter", exact=True).select_option("batch_size")
    expect(caption).to_contain_text("Batch_size while training")


def test_a_comparison_gives_up_what_is_no_longer_asked(
    viewer: Viewer, paths: Mapping[str, str]
) -> None:
    page = viewer.page
    settle(page, viewer.url + paths["compare"])
    asked = re.compile(r"/v1/compare\?.*by=parameters\.lr")
    page.route(asked, lambda route: None)  # is never answered
    with page.expect_request(asked):
        page.get_by_label("Split by").select_option("parameters.lr")
    with page.expect_event("requestfailed", lambda one: bool(asked.search(one.url))):
        page.get_by_label("Split by").select_option("parameters.task")
    at_rest(page)
    expect(page.get_by_role("main")).to_contain_text("logical_xor")


def test_chosen_colours_are_kept(viewer: Viewer) -> None:
    page = viewer.open("/")
    page.get_by_role("button", name="Use dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    viewer.open("/submit")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Use light colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
