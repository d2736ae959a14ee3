"""The hosts that the cluster's tests run on are what they claim to be."""

import socket
import sys
from pathlib import Path

import psutil

from tests.cluster import hosts
from tests.integration.service_process import wait_for

PORT = 7000
LISTEN = f"import socket, time; s = socket.create_server(('', {PORT})); time.sleep(600)"
CONNECT = f"import socket, sys; socket.create_connection((sys.argv[1], {PORT}), timeout=1)"


def listen(host: hosts.Host, folder: Path) -> hosts.HostProcess:
    command = [sys.executable, "-c", LISTEN]
    return host.start(command, environment={}, log=folder / "listen.log")


def reaches(here: hosts.Host, there: hosts.Host) -> bool:
    try:
        here.run([sys.executable, "-c", CONNECT, there.address])
    except AssertionError:
        return False
    return True


def test_hosts_have_names_and_folders_of_their_own(tmp_path: Path) -> None:
    with hosts.network(["a", "b"], folder=tmp_path) as (_, (a, b)):
        assert [host.run(["hostname"]).strip() for host in (a, b)] == ["a", "b"]
        a.run(["touch", "/tmp/ray/of-a", "/dev/shm/of-a"])
        assert b.run(["ls", "/tmp/ray", "/dev/shm"]).split() == ["/dev/shm:", "/tmp/ray:"]
        assert (tmp_path / "a" / "of-a").exists()


def test_a_host_that_is_cut_off_is_reached_by_nobody_until_it_is_joined_again(
    tmp_path: Path,
) -> None:
    with hosts.network(["a", "b"], folder=tmp_path) as (network, (a, b)):
        listen(b, tmp_path)
        wait_for(lambda: reaches(a, b), "a connection")
        network.cut(b)
        assert not reaches(a, b)
        network.mend(b)
        wait_for(lambda: reaches(a, b), "a connection")


def test_the_test_reaches_hosts_from_the_switch_alone(tmp_path: Path) -> None:
    with hosts.network(["a"], folder=tmp_path) as (network, (a,)):
        listen(a, tmp_path)
        before = Path("/proc/thread-self/ns/net").readlink()
        with network.entered():
            assert Path("/proc/thread-self/ns/net").readlink() != before
            wait_for(lambda: reaches_from_here(a), "a connection")
        assert Path("/proc/thread-self/ns/net").readlink() == before


def reaches_from_here(host: hosts.Host) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host.address, PORT)) == 0


def test_nothing_is_left_of_a_host(tmp_path: Path) -> None:
    with hosts.network(["a"], folder=tmp_path) as (_, (a,)):
        process = listen(a, tmp_path)
        wait_for(lambda: len(a.processes()) > 2, "the process")
        lived = a.processes()
    assert process.exit_code is not None
    assert not any(alive(p) for p in lived)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
