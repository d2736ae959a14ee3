"""A driver's memory does not grow with the trials that ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import RayCluster


@pytest.mark.ray
def test_tune_keeps_none_of_the_trials_that_ended(ray_cluster: RayCluster, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.integration.trials_kept"],
        env={**os.environ, **ray_cluster.environment, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode == 0, answer.stderr
    _, left, _, done = answer.stdout.strip().splitlines()[-1].split()
    assert done == "True"
    assert int(left) <= 3  # of 40: those whose end is this step's
