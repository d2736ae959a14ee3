"""The page's shells and files, and signing in."""

import re

import pytest
from fastapi.testclient import TestClient

from service.auth import COOKIE, PAGE_HEADER, issue_token
from service.dashboard.assets import PLOTLY, plotly_version, static_version
from service.store.interface import Store
from sweep.parameters import KINDS
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import START

PAGES = ["/", "/sweeps/x", "/trials/x", "/compare", "/submit", "/studies", "/studies/x"]
FROM_PAGE = {PAGE_HEADER: "1"}


@pytest.fixture
def token(store: Store) -> str:
    return issue_token(store, token_id="t1", name="ann", now=START).secret


def sign_in(client: TestClient, token: str, **headers: str) -> None:
    answer = client.post("/v1/session", json={"token": token}, headers={**FROM_PAGE, **headers})
    assert (answer.status_code, answer.json()) == (200, {"name": "ann", "embedded": False})


@pytest.mark.parametrize("path", PAGES)
def test_a_shell_holds_no_data_and_no_inline_script_or_style(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\ssrc=)", answer.text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", answer.text) == []


@pytest.mark.parametrize("path", PAGES)
def test_links_are_relative_or_under_the_prefix_that_a_proxy_tells(
    client: TestClient, path: str
) -> None:
    links = re.findall(r'(?:href|src)="([^"]+)"', client.get(path).text)
    assert [link for link in links if link.startswith("/")] == []
    told = client.get(path, headers={"X-Forwarded-Prefix": "/tools/sweep/"}).text
    links = [link for link in re.findall(r'(?:href|src)="([^"]+)"', told) if link != "#main"]
    assert all(link.startswith("/tools/sweep/") for link in links)
    for bad in ('/"><script>', "//evil.example", "javascript:x", "/a/../b"):
        refused = client.get(path, headers={"X-Forwarded-Prefix": bad}).text
        assert 'data-root="/' not in refused
        assert "evil" not in refused


def test_a_name_in_the_address_is_escaped(client: TestClient) -> None:
    text = client.get('/sweeps/"><script>alert(1)').text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_files_are_kept_for_good_under_a_hash_of_their_content(client: TestClient) -> None:
    answer = client.get(f"/static/{static_version()}/app.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/old/app.js").headers["cache-control"] == "no-cache"
    plotly = client.get(f"/static/{plotly_version()}/{PLOTLY}", headers={"Accept-Encoding": "gzip"})
    assert "plotly.js" in plotly.text[:200]
    assert int(plotly.headers["content-length"]) < 2_000_000
    plain = client.get(f"/static/x/{PLOTLY}", headers={"Accept-Encoding": "identity"})
    assert plain.text == plotly.text
    for missing in ("nope.js", "../pages.py", "%2e%2e/pages.py", "views/"):
        assert client.get(f"/static/x/{missing}").status_code == 404


def test_the_page_knows_every_kind_of_parameter(client: TestClient) -> None:
    text = client.get(f"/static/{static_version()}/spec.js").text
    (listed,) = re.findall(r"const KINDS = new Set\(\[(.*?)\]\)", text, re.DOTALL)
    assert sorted(re.findall(r'"(\w+)"', listed)) == sorted(KINDS)


def test_embedded_mode_shows_its_page_to_this_machine_alone(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_signing_in_keeps_the_token_where_no_script_reads_it(
    guarded: TestClient, token: str
) -> None:
    assert guarded.get("/v1/session").status_code == 401
    answer = guarded.post("/v1/session", json={"token": token}, headers=FROM_PAGE)
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
    assert token not in answer.text
    assert guarded.get("/v1/session").json() == {"name": "ann", "embedded": False}
    assert guarded.get("/v1/sweeps").status_code == 200


def test_the_cookie_is_for_https_and_the_prefix_where_those_are_used(
    guarded: TestClient, token: str
) -> None:
    headers = {**FROM_PAGE, "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/tools"}
    answer = guarded.post("/v1/session", json={"token": token}, headers=headers)
    cookie = answer.headers["set-cookie"].lower()
    assert {"secure", "path=/tools/"} <= {part.strip() for part in cookie.split(";")}


def test_a_request_that_changes_something_needs_more_than_the_cookie(
    guarded: TestClient, token: str
) -> None:
    sign_in(guarded, token)
    for method, path in (("POST", "/v1/sweeps"), ("DELETE", "/v1/tokens/ann")):
        answer = guarded.request(method, path, json=SPEC)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert guarded.post("/v1/sweeps", json=SPEC, headers=FROM_PAGE).status_code == 201
    form = guarded.post(
        "/v1/sweeps",
        content="name: x",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert form.status_code == 403
    assert len(guarded.get("/v1/sweeps").json()["items"]) == 1


def test_another_site_can_sign_nobody_in_or_out(guarded: TestClient, token: str) -> None:
    assert guarded.post("/v1/session", json={"token": token}).status_code == 403
    sign_in(guarded, token)
    assert guarded.delete("/v1/session").status_code == 403
    assert guarded.delete("/v1/session", headers=FROM_PAGE).status_code == 204
    assert guarded.get("/v1/sweeps").status_code == 401


def test_a_bad_token_signs_nobody_in(guarded: TestClient, token: str) -> None:
    for bad, status in (("swp_nope", 401), ("swd_driver", 403), ("a b", 422), ("", 422)):
        answer = guarded.post("/v1/session", json={"token": bad}, headers=FROM_PAGE)
        assert answer.status_code == status
        assert "set-cookie" not in answer.headers


def test_a_revoked_token_ends_the_session(guarded: TestClient, token: str) -> None:
    sign_in(guarded, token)
    assert guarded.delete("/v1/tokens/ann", headers=FROM_PAGE).status_code == 200
    assert guarded.get("/v1/sweeps").status_code == 401


def test_an_authorization_header_counts_before_the_cookie(guarded: TestClient, token: str) -> None:
    sign_in(guarded, token)
    headers = {"Authorization": "Bearer swp_nope"}
    assert guarded.get("/v1/sweeps", headers=headers).status_code == 401
    guarded.cookies.set(COOKIE, "nonsense")
    headers = {"Authorization": f"Bearer {token}"}
    assert guarded.post("/v1/sweeps", json=SPEC, headers=headers).status_code == 201
