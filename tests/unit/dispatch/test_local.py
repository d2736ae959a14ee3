"""Drivers as real processes: a tiny program stands where the interpreter would."""

import json
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from service.dispatch.launcher import Exit, Launch, LauncherAway
from service.dispatch.local import LocalLauncher
from sweep.wire import EXIT_NO_RAY
from tests.integration.service_process import wait_for

Make = Callable[[str], LocalLauncher]
ENVIRONMENT = {"RAY_ADDRESS": "127.0.0.1:6379"}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Launchers over one home whose drivers run a shell script."""
    made: list[LocalLauncher] = []

    def launcher(script: str) -> LocalLauncher:
        program = tmp_path / f"driver-{len(made)}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        made.append(
            LocalLauncher(
                python=str(program),
                service_url="http://a:1,http://b:2",
                folder=tmp_path / "home",
                environment=lambda: ENVIRONMENT,
            )
        )
        return made[-1]

    yield launcher
    for one in made:
        one.stop()


def log(tmp_path: Path, epoch: int = 1) -> Path:
    return tmp_path / "home" / "drivers" / f"s-{epoch}.log"


def exits(launcher: LocalLauncher) -> list[Exit]:
    found: list[Exit] = []
    wait_for(lambda: found.extend(launcher.ended()) or found, "a driver's end", timeout=30)
    return found


def test_a_driver_gets_its_token_by_its_environment_alone(make: Make, tmp_path: Path) -> None:
    launcher = make('echo "$SWEEP_DRIVER_URL $SWEEP_DRIVER_TOKEN $RAY_ADDRESS; $*"')
    launcher.launch(Launch("s", 1, "swd_x"))
    assert exits(launcher) == [Exit("s", 1, "exit 0")]
    text = log(tmp_path).read_text()
    assert text == "http://a:1,http://b:2 swd_x 127.0.0.1:6379; -m workers.driver\n"
    assert launcher.ended() == []
    assert list(log(tmp_path).parent.glob("*.json")) == []


def test_how_a_driver_ended_is_told_with_the_end_of_its_log(make: Make) -> None:
    launcher = make("echo it broke; exit 5")
    launcher.launch(Launch("s", 1, "t"))
    assert exits(launcher) == [Exit("s", 1, "exit 5; its log ends: it broke")]
    launcher = make("kill -9 $$")
    launcher.launch(Launch("s", 2, "t"))
    assert exits(launcher) == [Exit("s", 2, "signal 9")]


def test_a_driver_that_lost_ray_is_not_to_blame(make: Make) -> None:
    launcher = make(f"exit {EXIT_NO_RAY}")
    launcher.launch(Launch("s", 1, "t"))
    assert exits(launcher) == [Exit("s", 1, f"exit {EXIT_NO_RAY}", blameless=True)]


def test_an_interpreter_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    launcher = LocalLauncher(
        python=str(tmp_path / "none"), service_url="u", folder=tmp_path, environment=dict
    )
    with pytest.raises(FileNotFoundError):
        launcher.launch(Launch("s", 1, "t"))
    assert launcher.ended() == []


def test_a_machine_out_of_means_is_not_the_sweeps_fault(make: Make) -> None:
    launcher = make("exit 0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(LauncherAway, match="out of means"):
            launcher.launch(Launch("s", 1, "t"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_frozen_driver_is_ended_also_by_a_dispatcher_that_came_later(
    make: Make, tmp_path: Path
) -> None:
    first, second = make("echo $$; sleep 600"), make("exit 0")
    first.launch(Launch("s", 1, "t"))
    wait_for(lambda: log(tmp_path).read_text(), "the driver's start", timeout=30)
    driver = psutil.Process(int(log(tmp_path).read_text()))
    driver.send_signal(signal.SIGSTOP)
    family = [driver, *driver.children()]
    second.kill("s", 1)
    assert exits(first) == [Exit("s", 1, f"signal 9; its log ends: {driver.pid}")]
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    second.kill("s", 1)
    second.kill("s", 7)


def test_what_a_driver_had_spooled_goes_with_it(make: Make, tmp_path: Path) -> None:
    spooling = 'mkdir -p "$SWEEP_DRIVER_SPOOL"; echo x > "$SWEEP_DRIVER_SPOOL/1.jsonl"; echo $$; '
    spool = tmp_path / "home" / "spool"
    first, second = make(f"{spooling} kill -9 $$"), make(f"{spooling} exec sleep 600")
    first.launch(Launch("s", 1, "t"))
    wait_for(lambda: log(tmp_path).read_text(), "the driver's start", timeout=30)
    assert (spool / "s-1" / "1.jsonl").exists()
    exits(first)
    second.launch(Launch("s", 2, "t"))
    wait_for(lambda: log(tmp_path, 2).read_text(), "the driver's start", timeout=30)
    assert [folder.name for folder in spool.iterdir()] == ["s-2"]
    later = make("exit 0")
    assert later.ended() == []
    assert [folder.name for folder in spool.iterdir()] == ["s-2"]
    later.kill("s", 2)
    assert list(spool.iterdir()) == []
    exits(second)


def test_what_a_driver_leaves_whose_dispatcher_is_gone_is_removed_by_the_next(
    make: Make, tmp_path: Path
) -> None:
    first, later = make('mkdir -p "$SWEEP_DRIVER_SPOOL"; echo $$; exec sleep 600'), make("exit 0")
    first.launch(Launch("s", 1, "t"))
    wait_for(lambda: log(tmp_path).read_text(), "the driver's start", timeout=30)
    driver = psutil.Process(int(log(tmp_path).read_text()))
    later.ended()
    assert log(tmp_path).with_suffix(".json").exists()
    driver.kill()
    driver.wait()
    assert later.ended() == []
    assert not log(tmp_path).with_suffix(".json").exists()
    assert list((tmp_path / "home" / "spool").iterdir()) == []


@pytest.mark.parametrize("change", [{"created": 1.0}, {"host": "another"}, {"pid": 2**22 + 1}])
def test_a_process_that_is_not_the_driver_is_left_alone(
    make: Make, tmp_path: Path, change: dict[str, object]
) -> None:
    launcher = make("sleep 600")
    launcher.launch(Launch("s", 1, "t"))
    record = log(tmp_path).with_suffix(".json")
    told = json.loads(record.read_text())
    record.write_text(json.dumps({**told, **change}))
    launcher.kill("s", 1)
    assert psutil.Process(told["pid"]).is_running()
    assert launcher.ended() == []


def test_a_record_that_cannot_be_read_is_nothing(make: Make, tmp_path: Path) -> None:
    launcher = make("sleep 600")
    launcher.launch(Launch("s", 1, "t"))
    log(tmp_path).with_suffix(".json").write_text("{")
    launcher.kill("s", 1)
    assert launcher.ended() == []


def test_stopping_ends_the_drivers(make: Make, tmp_path: Path) -> None:
    launcher = make("echo $$; exec sleep 600")
    launcher.launch(Launch("s", 1, "t"))
    wait_for(lambda: log(tmp_path).read_text(), "the driver's start", timeout=30)
    launcher.stop()
    assert not psutil.pid_exists(int(log(tmp_path).read_text()))
