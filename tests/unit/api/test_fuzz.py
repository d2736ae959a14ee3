"""Whatever the OpenAPI document allows, and much that it does not, never breaks the service."""

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from service.auth import new_driver_token
from service.store.interface import Store
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import LEASE, START

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # the fuzzer's own
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_makes_a_server_error(
    app: FastAPI, client: TestClient, store: Store, mode: GenerationMode
) -> None:
    client.post("/v1/sweeps", json=SPEC)
    secret, digest = new_driver_token()
    store.start_driver("id1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    schema = schemathesis.openapi.from_asgi(
        "/v1/openapi.json", app, headers={"Host": "127.0.0.1:8080"}
    )
    statuses: set[int] = set()
    # streams of live events have no end; tests/unit/live sends them what is wrong
    for result in schema.exclude(path_regex="/events$").get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=15,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            headers = {"Host": "127.0.0.1:8080"}
            if case.path.startswith("/v1/driver"):
                headers["Authorization"] = f"Bearer {secret}"
            answer = case.call(headers=headers)
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]

        try:
            check()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # nothing about it can be wrong
    assert {200, 404, 422} <= statuses
