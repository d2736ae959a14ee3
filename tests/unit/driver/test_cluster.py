"""The driver's tie to Ray, with sockets that stand for Ray's own."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sweep.wire import EXIT_NO_RAY
from tests.unit.driver.builders import make_running, make_spec
from workers.driver.cluster import RayAway, RayWatch, connect

NOBODY = ("127.0.0.1", 9)


@pytest.fixture
def raylet(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "raylet"))
        listener.listen()
        yield listener


@pytest.fixture
def gcs() -> Iterator[socket.socket]:
    """A port of the head's that refuses until `listen` is called."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


def test_ray_is_lost_with_this_machines_raylet(raylet: socket.socket, tmp_path: Path) -> None:
    path = Path(raylet.getsockname())
    assert not RayWatch(gcs=NOBODY, raylet=path).lost
    assert RayWatch(gcs=NOBODY, raylet=tmp_path / "none").lost
    raylet.close()
    assert RayWatch(gcs=NOBODY, raylet=path).lost


def test_a_death_is_believed_once_the_head_answers(
    raylet: socket.socket, gcs: socket.socket
) -> None:
    watch = RayWatch(gcs=gcs.getsockname(), raylet=Path(raylet.getsockname()))
    thread = threading.Thread(target=watch.settle, daemon=True)
    thread.start()
    for _ in range(3):  # it asks the raylet again and again while the head refuses
        raylet.accept()[0].close()
    assert thread.is_alive()
    gcs.listen()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("call", ["end_if_lost()", "settle()", "start(); time.sleep(60)"])
def test_a_driver_that_lost_ray_ends_at_once(call: str, tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from workers.driver.cluster import RayWatch; "
        f"RayWatch(gcs=('127.0.0.1', 9), raylet=Path({str(tmp_path / 'none')!r})).{call}"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert answer.returncode == EXIT_NO_RAY


def test_ray_is_waited_for_and_what_for_is_shown() -> None:
    sweep = make_running(make_spec())
    with pytest.raises(RayAway, match=r"gave up after 0 s of waiting for Ray at 127\.0\.0\.1:9"):
        connect(sweep, "127.0.0.1:9", wait_s=0)
    assert sweep.waiting_for is not None
    assert "refused" in sweep.waiting_for
