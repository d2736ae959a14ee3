"""What a driver reads from its environment, and what it keeps from its trials."""

import json
from pathlib import Path

import pytest

from workers.driver.environment import MEMORY_MESSAGES, read


def test_a_local_driver_is_told_all_by_variables(tmp_path: Path) -> None:
    variables = {
        "SWEEP_DRIVER_URL": "http://a:1",
        "SWEEP_DRIVER_TOKEN": "swd_x",
        "SWEEP_DRIVER_SPOOL": str(tmp_path),
    }
    told = read(variables)
    assert (told.urls, told.token, told.spool.parent) == ("http://a:1", "swd_x", tmp_path)
    assert told.memory_messages == MEMORY_MESSAGES
    assert read({**variables, "SWEEP_DRIVER_MEMORY_MESSAGES": "40"}).memory_messages == 40


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_an_odd_number_of_messages_is_refused(value: str, tmp_path: Path) -> None:
    variables = {
        "SWEEP_DRIVER_URL": "http://a:1",
        "SWEEP_DRIVER_TOKEN": "swd_x",
        "SWEEP_DRIVER_SPOOL": str(tmp_path),
        "SWEEP_DRIVER_MEMORY_MESSAGES": value,
    }
    with pytest.raises(ValueError, match=f"SWEEP_DRIVER_MEMORY_MESSAGES is {value!r}"):
        read(variables)


def test_a_ray_jobs_token_comes_by_a_file_that_is_gone_then(tmp_path: Path) -> None:
    file = tmp_path / "driver-token"
    file.write_text("swd_y\n")
    config = {
        "runtime_env": {"working_dir": "gcs://x.zip", "env_vars": {"A": "b"}},
        "metadata": {"job_submission_id": "sweep-s-1"},
    }
    variables = {
        "SWEEP_DRIVER_URL": "http://a:1,http://b:2",
        "SWEEP_DRIVER_TOKEN_FILE": str(file),
        "SWEEP_DRIVER_SPOOL": ".",
        "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(config),
    }
    told = read(variables)
    assert told.token == "swd_y"
    assert not file.exists()
    assert told.spool.parent == Path.cwd()
    assert json.loads(variables["RAY_JOB_CONFIG_JSON_ENV_VAR"]) == {
        "runtime_env": {},
        "metadata": {"job_submission_id": "sweep-s-1"},
    }
