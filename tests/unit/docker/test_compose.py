"""The compose file keeps the schema of its specification, and our rules."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.docker.files import COMPOSE, DOCKER, compose, module

SERVICES: dict[str, Any] = compose()["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "postgres"}
RAY = {name: service for name, service in SERVICES.items() if name.startswith("ray-")}


def check(file: Path) -> tuple[int, str]:
    return module("check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file))


def test_it_keeps_the_schema() -> None:
    code, text = check(COMPOSE)
    assert code == 0, text


def test_the_schema_would_refuse_a_slip(tmp_path: Path) -> None:
    slip = tmp_path / "compose.yaml"
    slip.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:"))
    code, text = check(slip)
    assert code == 1
    assert "healthchek" in text


def test_it_has_every_part() -> None:
    assert set(SERVICES) == {
        *("postgres", "migrate", "api-1", "api-2", "dispatcher"),
        *("ray-head", "ray-worker", "ray-worker-gpu"),
    }
    assert [name for name, service in SERVICES.items() if "profiles" in service] == [
        "ray-worker-gpu"
    ]
    assert not {"container_name", "ports"} & set(SERVICES["ray-worker"])  # so it can be scaled


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_restarted_and_watched(name: str) -> None:
    service = SERVICES[name]
    _, _, tag = service["image"].partition(":")
    assert tag not in ("", "latest")
    once = name == "migrate"
    assert service["restart"] == ("on-failure:5" if once else "unless-stopped")
    assert service["healthcheck"].get("disable", False) is once
    assert int(service["logging"]["options"]["max-file"]) > 0


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        healthy = how["condition"] == "service_healthy"
        assert ("test" in SERVICES[other]["healthcheck"]) is healthy
        assert healthy or other == "migrate"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_more_rights_than_they_need(name: str) -> None:
    service = OURS[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "network_mode", "pid"} & set(service)


def test_secrets_have_no_default_and_the_example_names_them() -> None:
    text = re.sub(r"^\s*#.*\n", "", COMPOSE.read_text(), flags=re.MULTILINE)
    used = re.findall(r"\$\{([A-Z_0-9]+)(:[?-][^}]*)?\}", text)
    required = {name for name, rule in used if rule.startswith(":?")}
    assert required == {"POSTGRES_PASSWORD", "RAY_AUTH_TOKEN"}
    assert all(rule.startswith(":?") for name, rule in used if name in required)
    example = (DOCKER / "env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)) == required


@pytest.mark.parametrize("name", [*RAY, "dispatcher"])
def test_the_ray_cluster_is_locked(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")
    assert "ports" not in SERVICES[name]


@pytest.mark.parametrize("name", RAY)
def test_trial_nodes_neither_reach_nor_know_the_database(name: str) -> None:
    assert "data" not in SERVICES[name]["networks"]
    assert "SWEEP_DATABASE_URL" not in SERVICES[name]["environment"]


@pytest.mark.parametrize("name", [*RAY, "api-1", "api-2"])
def test_saved_states_are_within_reach_of_those_who_write_and_remove_them(name: str) -> None:
    assert SERVICES[name]["volumes"] == ["checkpoints:/checkpoints"]
    assert SERVICES[name]["env_file"] == [{"path": "storage.env", "required": False}]


def test_drivers_are_told_of_both_api_servers() -> None:
    urls = SERVICES["dispatcher"]["environment"]["SWEEP_PUBLIC_URL"].split(",")
    assert urls == [f"http://{name}:8080" for name in SERVICES if name.startswith("api-")]
    head = SERVICES["dispatcher"]["environment"]["SWEEP_RAY_JOBS_URL"]
    assert head == "http://ray-head:8265"
    assert "--dashboard-port=8265" in SERVICES["ray-head"]["command"]


def test_networks_and_volumes_are_declared() -> None:
    whole = compose()
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(whole["networks"])
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in whole["volumes"]
