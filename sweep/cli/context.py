"""What every command needs: the connection that its options name, and common options."""

from typing import Annotated, Any

import typer

from sweep.client import Client
from sweep.loading import load_yaml

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
SweepId = Annotated[str, typer.Argument(help="The sweep's id.")]


def client_of(context: typer.Context) -> Client:
    """A client of the service that the command line names."""
    url, token = context.obj
    return Client(url, token)


def named_value(text: str, option: str) -> tuple[str, Any]:
    """The name and the value, read as YAML, of an option's `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{option} takes NAME=VALUE; got {text!r}")
    return name, load_yaml(value.encode())
