"""API servers that answer, do not, or stand behind a proxy that says so."""

import logging

import httpx
import pytest

from service.dispatch.reach import ApiServers


def servers(answers: dict[str, int]) -> ApiServers:
    """Those at their hosts, with the statuses that they answer; others are away."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host not in answers:
            raise httpx.ConnectError("refused")
        return httpx.Response(answers[request.url.host])

    return ApiServers(["http://a:1", "http://b:2"], transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"a": 200, "b": 200}, True),
        ({"b": 200}, True),
        ({"a": 503, "b": 404}, True),
        ({"a": 502}, False),
        ({}, False),
    ],
)
def test_one_that_answers_is_enough(answers: dict[str, int], expected: bool) -> None:
    assert servers(answers).answer() is expected


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    answers: dict[str, int] = {}
    found = servers(answers)
    with caplog.at_level(logging.INFO, logger="service.dispatch.reach"):
        for status in (None, None, 200, 200):
            if status is not None:
                answers["b"] = status
            found.answer()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "http://a:1, http://b:2" in caplog.text
