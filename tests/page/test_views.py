"""Every view: no serious fault of accessibility, no error, nothing wider than the screen."""

from collections.abc import Iterator, Mapping

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import Viewer, watched
from tests.page.server import Server
from tests.page.views import NAMES, fill, settle

LOOKS = {
    "light": {"width": 1280, "color_scheme": "light"},
    "dark": {"width": 1280, "color_scheme": "dark"},
    "phone": {"width": 390, "color_scheme": "light"},
}


@pytest.fixture(scope="module")
def paths(server: Server) -> Mapping[str, str]:
    return fill(server)


@pytest.fixture(scope="module", params=LOOKS)
def looked(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Viewer]:
    look = LOOKS[request.param]
    context = browser.new_context(
        viewport={"width": look["width"], "height": 844},  # type: ignore[typeddict-item]
        color_scheme=look["color_scheme"],  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    yield watched(context, server.url)
    context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_view_has_no_serious_fault(looked: Viewer, paths: Mapping[str, str], name: str) -> None:
    looked.troubles.clear()
    settle(looked.page, looked.url + paths[name])
    assert serious(looked.page) == []
    wide = looked.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    assert looked.troubles == []


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical, with the elements."""
    return [
        f"{found['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


@pytest.mark.parametrize(
    "tab", ["curves", "pivot", "importance", "pareto", "stopping", "resources"]
)
def test_plotly_draws_under_the_security_policy(
    viewer: Viewer, paths: Mapping[str, str], tab: str
) -> None:
    settle(viewer.page, viewer.url + paths[f"sweep-{tab}"])
    expect(viewer.page.locator(".plot .main-svg").first).to_be_visible()
    expect(viewer.page.locator("figcaption strong").first).not_to_be_empty()


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


def test_chosen_colours_are_kept(viewer: Viewer) -> None:
    page = viewer.open("/")
    page.get_by_role("button", name="Use dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    viewer.open("/submit")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Use light colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
