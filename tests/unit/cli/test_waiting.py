"""Why nothing of a sweep trains is shown by every command."""

from service.store.interface import Store
from sweep.cli.output import state_line
from sweep.client import Client
from sweep.wire import Heartbeat, Known, NodeExcluded, Signs
from tests.unit.cli.test_commands import SPEC, run
from tests.unit.store.builders import LEASE, at, drive, send

TEXT = "waiting for 1 GPU: the cluster has none"


def test_it_is_on_the_command_line_until_it_ends(client: Client, store: Store) -> None:
    sweep = client.submit(SPEC)
    driver = drive(store, sweep.id)

    def beat(waiting: str | None) -> None:
        told = Heartbeat(known=Known(trials=6), signs=Signs(waiting=waiting))
        store.heartbeat(driver, told, now=at(1), lease=LEASE)

    def shown() -> list[bool]:
        texts = [run("list").output, run("show", sweep.id).output]
        return [TEXT in text for text in [*texts, state_line(client.sweep(sweep.id))]]

    beat(TEXT)
    assert shown() == [True] * 3
    beat(None)
    assert shown() == [False] * 3


def test_excluded_nodes_are_shown(client: Client, store: Store) -> None:
    sweep = client.submit(SPEC)
    driver = drive(store, sweep.id)
    reason = "10.0.0.2: 3 trials in a row failed there; the last: OSError: broken"
    send(store, driver, NodeExcluded(node="aa", reason=reason, time=at(2)), known=6)
    assert f"node excluded: {reason}" in run("show", sweep.id).output
