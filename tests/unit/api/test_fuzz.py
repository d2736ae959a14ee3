"""Whatever the OpenAPI document allows, and much that it does not, never breaks the service."""

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from service.auth import new_driver_token
from service.store.interface import Store
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import LEASE, START

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # the fuzzer's own
]


@pytest.fixture
def api(app: FastAPI, store: Store) -> schemathesis.BaseSchema:
    from fastapi.testclient import TestClient

    client = TestClient(app, base_url="http://127.0.0.1:8080")
    client.post("/v1/sweeps", json=SPEC)
    secret, digest = new_driver_token()
    store.start_driver("id1", after_epoch=0, token_hash=digest, now=START, lease=LEASE)
    app.state.driver_token = secret
    return schemathesis.openapi.from_asgi("/v1/openapi.json", app)


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_server_error(case: schemathesis.Case, app: FastAPI) -> None:
    headers = {"Host": "127.0.0.1:8080"}
    if case.path.startswith("/v1/driver"):
        headers["Authorization"] = f"Bearer {app.state.driver_token}"
    answer = case.call(headers=headers)
    case.validate_response(answer, checks=[not_a_server_error])
