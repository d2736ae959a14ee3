"""The page under a path of a proxy."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.page.conftest import Post, watched
from tests.page.proxy import PREFIX, behind_a_path
from tests.page.server import Server


@pytest.mark.parametrize("told", [False, True])
def test_every_link_stays_under_the_path(
    browser: Browser, server: Server, post: Post, told: bool
) -> None:
    sweep_id = post(name="behind-a-proxy")
    with behind_a_path(server.url, told=told) as url:
        context = browser.new_context()
        viewer = watched(context, url)
        page = viewer.open("/")
        page.get_by_role("link", name="behind-a-proxy").first.click()
        page.wait_for_url(re.compile(f"{PREFIX}/sweeps/{sweep_id}"))
        page.locator("table.board tbody a").first.click()
        page.wait_for_url(re.compile(f"{PREFIX}/trials/{sweep_id}-0"))
        expect(page.get_by_role("heading", name="Trial #0")).to_be_visible()
        page.get_by_role("link", name="New sweep").click()
        expect(page.get_by_text("The spec is valid.")).to_be_visible()
        context.close()
    assert viewer.troubles == []
