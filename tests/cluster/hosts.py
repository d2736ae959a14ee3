"""Several hosts on one machine: each its own address, name, processes, /tmp/ray and /dev/shm.

A host is a set of Linux namespaces that one process holds open. All of its processes die
with that one, and the namespaces with them, so nothing is left behind, and nothing has a
name or a port on the machine itself. The switch that joins the hosts is a bridge in
namespaces of its own; the test reaches the hosts from there.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_NET = 0x4000_0000  # CLONE_NEWNET
_NAMESPACES = ("--net", "--uts", "--mount", "--pid")
_HOLD = "while :; do sleep 3600 & wait $!; done"
"""What a host's first process does: nothing but reap orphans."""
_WITHIN_S = 10.0


def missing() -> str | None:
    """Why no hosts can be made here, or None."""
    if os.name != "posix" or not Path("/proc/self/ns/net").exists():
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        with _held() as holder:
            _run(holder, ["ip", "link", "add", "probe", "type", "bridge"])
    except (OSError, subprocess.SubprocessError, AssertionError) as error:
        return f"no network namespaces with a bridge can be made here: {error}"
    return None


@dataclass(frozen=True)
class Host:
    """One host."""

    name: str
    address: str
    pid: int
    """Of the process that holds it open, as the machine numbers it."""
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        """Run a command on it to its end; its output.

        Raises:
            subprocess.CalledProcessError: when it fails.
        """
        return _run(self.pid, command, environment)

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> "HostProcess":
        """Start a command on it."""
        with log.open("ab") as output:
            outer = subprocess.Popen(
                [*_enter(self.pid), *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(outer)
        return HostProcess(outer)

    def processes(self) -> list[psutil.Process]:
        """All that runs on it."""
        mine = _namespace(self.pid)
        return [process for process in psutil.process_iter() if _namespace(process.pid) == mine]


class HostProcess:
    """A process on a host."""

    def __init__(self, outer: "subprocess.Popen[bytes]") -> None:
        self._outer = outer

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._outer.poll()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        for process in psutil.Process(self._outer.pid).children():
            process.send_signal(signal.SIGKILL)
        self._outer.wait(_WITHIN_S)


class Network:
    """Hosts that a switch joins."""

    def __init__(self, switch: int) -> None:
        self._switch = switch
        self._ports: dict[str, str] = {}

    def join(self, host: Host) -> None:
        """Plug a host in."""
        port = self._ports[host.name] = f"port{len(self._ports)}"
        self._ip(
            "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid)
        )
        self._ip("link", "set", port, "master", "bridge", "up")
        _run(host.pid, ["ip", "link", "set", "lo", "up"])
        _run(host.pid, ["ip", "address", "add", f"{host.address}/24", "dev", "eth0"])
        _run(host.pid, ["ip", "link", "set", "eth0", "up"])

    def cut(self, host: Host) -> None:
        """Cut a host off from all others; what runs on it goes on."""
        self._ip("link", "set", self._ports[host.name], "down")

    def mend(self, host: Host) -> None:
        """Join it again."""
        self._ip("link", "set", self._ports[host.name], "up")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread opens its sockets at the switch for the length of the block."""
        with Path("/proc/thread-self/ns/net").open() as mine:
            _set_network(f"/proc/{self._switch}/ns/net")
            try:
                yield
            finally:
                _set_network(f"/proc/self/fd/{mine.fileno()}")

    def _ip(self, *arguments: str) -> None:
        _check(["nsenter", f"--target={self._switch}", "--net", "ip", *arguments])


@contextmanager
def network(names: Sequence[str], *, folder: Path) -> Iterator[tuple[Network, list[Host]]]:
    """A switch and hosts of these names, until the end of the block.

    Args:
        names: Of the hosts.
        folder: For their private folders.
    """
    with ExitStack() as stack:
        switch = stack.enter_context(_held())
        _run(switch, ["ip", "link", "set", "lo", "up"])
        _run(switch, ["ip", "link", "add", "bridge", "type", "bridge"])
        _run(switch, ["ip", "address", "add", "10.200.0.254/24", "dev", "bridge"])
        _run(switch, ["ip", "link", "set", "bridge", "up"])
        joined = Network(switch)
        hosts = []
        for number, name in enumerate(names, start=1):
            host = stack.enter_context(_host(name, f"10.200.0.{number}"))
            _furnish(host, folder / name)
            joined.join(host)
            hosts.append(host)
        yield joined, hosts


@contextmanager
def _host(name: str, address: str) -> Iterator[Host]:
    started: list[subprocess.Popen[bytes]] = []
    try:
        with _held() as pid:
            yield Host(name, address, pid, started)
    finally:
        for outer in started:
            outer.wait(_WITHIN_S)


def _furnish(host: Host, folder: Path) -> None:
    """Its name, and folders of its own where Ray would meet others' of this machine."""
    folder.mkdir(parents=True)
    Path("/tmp/ray").mkdir(exist_ok=True)
    _run(host.pid, ["hostname", host.name])
    _run(host.pid, ["mount", "--bind", str(folder), "/tmp/ray"])
    _run(host.pid, ["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"])


@contextmanager
def _held() -> Iterator[int]:
    """New namespaces, and the process that holds them; it dies with this one."""
    outer = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL", "--", "unshare", *_NAMESPACES),
            *("--fork", "--kill-child", "--mount-proc", "bash", "-c", _HOLD),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _first_process(outer)
    finally:
        for process in psutil.Process(outer.pid).children():
            process.kill()
        outer.kill()
        outer.wait()


def _first_process(outer: "subprocess.Popen[bytes]") -> int:
    """The process that `unshare` forked, once it is what it is to be."""
    give_up_at = time.monotonic() + _WITHIN_S
    while True:
        for child in psutil.Process(outer.pid).children():
            if child.name() == "bash":
                return child.pid
        assert outer.poll() is None, f"unshare ended with exit code {outer.returncode}"
        assert time.monotonic() < give_up_at, "no namespaces came about"
        time.sleep(0.01)


def _enter(pid: int) -> list[str]:
    return ["nsenter", f"--target={pid}", *_NAMESPACES, "--"]


def _run(pid: int, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    return _check([*_enter(pid), *command], environment)


def _check(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr.strip()}"
    return ended.stdout


def _set_network(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(path).open() as namespace:
        if libc.setns(namespace.fileno(), _NET) != 0:
            raise OSError(ctypes.get_errno(), "setns failed", path)


def _namespace(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return None
