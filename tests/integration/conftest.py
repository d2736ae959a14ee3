"""The service as a process, stopped whatever happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import RayCluster
from tests.integration.service_process import ServiceProcess


@pytest.fixture
def service(home: Path, ray_cluster: RayCluster) -> Iterator[ServiceProcess]:
    process = ServiceProcess(home, ray_cluster.environment)
    yield process
    process.stop()
