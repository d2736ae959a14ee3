"""A service that asks for tokens, and one behind a path of a proxy."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from service.auth import issue_token
from tests.page.conftest import watched
from tests.page.feeding import now
from tests.page.server import Server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("guarded"), tokens=True) as running:
        yield running


def test_a_token_is_asked_for_once(browser: Browser, guarded: Server) -> None:
    secret = issue_token(guarded.store, token_id="t1", name="ann", now=now()).secret
    context = browser.new_context()
    viewer = watched(context, guarded.url)
    page = viewer.page
    page.goto(f"{guarded.url}/")
    field = page.get_by_label("Token")
    expect(field).to_be_focused()
    field.fill("swp_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".sign-in [role=alert]")).to_contain_text("not known")
    field.fill(secret)
    field.press("Enter")
    expect(page.get_by_role("heading", name="No sweep yet")).to_be_visible()
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.goto(f"{guarded.url}/submit")
    expect(page.get_by_text("The spec is valid.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    context.close()
    assert viewer.troubles == []
