"""Tests on several hosts are skipped, with the reason, where none can be made."""

import pytest

from tests.cluster import hosts


@pytest.fixture(scope="session", autouse=True)
def hosts_can_be_made() -> None:
    reason = hosts.missing()
    if reason is not None:
        pytest.skip(reason)
