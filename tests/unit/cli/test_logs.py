"""`sweep logs` and the client's logs against the real app over real HTTP."""

import json
import threading

from typer.testing import CliRunner

from service.store.interface import Store
from sweep.cli.app import app
from sweep.client import Client
from sweep.states import TrialState
from tests.unit.api.test_sweeps import SPEC
from tests.unit.store.builders import drive, moved, send, started
from tests.unit.store.test_logs import printed


def test_logs_are_printed_under_headings(client: Client, store: Store) -> None:
    sweep = client.submit(SPEC)
    driver = drive(store, sweep.id)
    send(store, driver, started(), printed(0, "[bold]plain[/bold]\nlast\n"), known=6)
    send(store, driver, printed(1, "oh\n", stream="stderr"), known=6)

    def logs(*options: str) -> str:
        result = CliRunner().invoke(app, ["logs", f"{sweep.id}-0", *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    heading = "==> attempt 1, on node-1 <==\n"
    assert logs() == f"{heading}[bold]plain[/bold]\nlast\noh\n"
    assert logs("--stream", "stdout", "--tail", "1") == f"{heading}last\n"
    assert [piece["text"] for piece in json.loads(logs("--json"))][1] == "oh\n"


def test_following_ends_with_the_trial(client: Client, store: Store) -> None:
    sweep = client.submit(SPEC)
    driver = drive(store, sweep.id)
    send(store, driver, started(), printed(0, "old\nnew\n"), known=6)
    pieces = client.follow_logs(f"{sweep.id}-0", tail=1, poll=0.01)
    assert next(pieces).text == "new\n"
    send(store, driver, printed(1, "while\n"), known=6)
    assert next(pieces).text == "while\n"
    rest: list[str] = []
    reader = threading.Thread(target=lambda: rest.extend(piece.text for piece in pieces))
    reader.start()
    last = printed(2, "last\n")
    send(store, driver, last, moved(TrialState.COMPLETED, reason="finished"), known=6)
    reader.join(30)
    assert rest == ["last\n"]
