"""Commands that change a sweep: pause, resume, cancel, retry, edit, delete."""

from typing import Annotated, Any

import typer

from sweep.cli.context import Json, SweepId, client_of, named_value
from sweep.cli.output import make_console, print_json
from sweep.loading import load_yaml
from sweep.records import SweepRecord
from sweep.states import WantedState


def pause(context: typer.Context, sweep_id: SweepId, json: Json = False) -> None:
    """Pause a sweep; its trials go on later from their saved states."""
    with client_of(context) as client:
        _answer(client.pause(sweep_id), json)


def resume(context: typer.Context, sweep_id: SweepId, json: Json = False) -> None:
    """Let a paused sweep go on."""
    with client_of(context) as client:
        _answer(client.resume(sweep_id), json)


def cancel(context: typer.Context, sweep_id: SweepId, json: Json = False) -> None:
    """Cancel a sweep."""
    with client_of(context) as client:
        _answer(client.cancel(sweep_id), json)


def retry(context: typer.Context, sweep_id: SweepId, json: Json = False) -> None:
    """Have a sweep's failed trials tried again."""
    with client_of(context) as client:
        _answer(client.retry(sweep_id), json)


def edit(
    context: typer.Context,
    sweep_id: SweepId,
    max_concurrent: Annotated[
        str | None, typer.Option(help="Trials that run at once, or none for no limit.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.")] = None,
    weight: Annotated[float | None, typer.Option(help="Share among equals.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="LIMIT=NUMBER, such as hours=2; replaces all limits.")
    ] = None,
    add_grid: Annotated[
        list[str] | None, typer.Option(help="NAME=[VALUES]: more values of a grid parameter.")
    ] = None,
    add_trial: Annotated[
        list[str] | None, typer.Option(help="An assignment in YAML, such as '{lr: 0.1}'.")
    ] = None,
    json: Json = False,
) -> None:
    """Change a sweep while it runs: its limits, its place in the queue, more trials."""
    changes: dict[str, Any] = {"priority": priority, "weight": weight}
    changes = {name: value for name, value in changes.items() if value is not None}
    if max_concurrent is not None:
        limit = load_yaml(max_concurrent.encode())
        changes["max_concurrent"] = None if limit in (None, "none") else limit
    if budget:
        changes["budget"] = dict(named_value(text, "--budget") for text in budget)
    add: dict[str, Any] = {}
    if add_grid:
        add["grid"] = dict(named_value(text, "--add-grid") for text in add_grid)
    if add_trial:
        add["trials"] = [load_yaml(text.encode()) for text in add_trial]
    with client_of(context) as client:
        _answer(client.edit(sweep_id, {**changes, **({"add": add} if add else {})}), json)


def delete(context: typer.Context, sweep_id: SweepId, json: Json = False) -> None:
    """Delete a sweep that has ended, with all its trials and reports."""
    with client_of(context) as client:
        client.delete(sweep_id)
    if json:
        print_json({"deleted": sweep_id})


COMMANDS = (pause, resume, cancel, retry, edit, delete)


def _answer(sweep: SweepRecord, json: bool) -> None:
    """Say where the sweep stands now."""
    if json:
        print_json(sweep)
        return
    text = {WantedState.PAUSE: "being paused", WantedState.CANCEL: "being cancelled"}
    state = str(sweep.state) if sweep.ended_at else text.get(sweep.wanted, str(sweep.state))
    make_console().print(f"sweep {sweep.id} is {state}, {sweep.num_trials} trials", markup=False)
