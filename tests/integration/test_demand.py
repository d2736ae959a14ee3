"""What a real Ray makes of the places that a sweep shows an autoscaler."""

import os
import subprocess
import sys

import pytest

from tests.fixtures import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SCRIPT = """
import ray
from ray.util import placement_group_table
from tests.integration.service_process import wait_for
from workers.driver.demand import Demand

ray.init(log_to_driver=False, logging_level="ERROR")
nodes = [node["NodeID"] for node in ray.nodes()]
free = ray.available_resources()["CPU"]
demand = Demand()

def waiting():
    return [g for g in placement_group_table().values() if g["state"] == "PENDING"]

demand.show(2, {"CPU": 0.5}, nodes)
wait_for(lambda: len(waiting()) == 2, "two that wait")
group = waiting()[0]
assert ray.available_resources()["CPU"] == free
demand.show(1, {"CPU": 0.5}, ["f" * 56])  # as if a node had joined that is not among them
wait_for(lambda: not waiting(), "the one that fits now")
demand.show(0, {"CPU": 0.5}, nodes)
wait_for(lambda: ray.available_resources()["CPU"] == free, "its place given back")
"""


def test_they_wait_and_take_nothing(ray_cluster: RayCluster) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **ray_cluster.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
