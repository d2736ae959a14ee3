"""`python -m service`: run the service, or administer its database.

`up` is what `sweep up` starts: everything on this machine, for one person, on a
loopback address, with no tokens. `serve` is the same with token authentication, for
a team; its first token comes from `token`. `api` and `dispatch` are its two halves, as
processes of their own, any number of each on one PostgreSQL.
"""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from service.ray_head import RayResources
from service.settings import Settings
from sweep.errors import SpecError, SweepError
from sweep.parameters import field_problems

app = typer.Typer(no_args_is_help=True, add_completion=False)

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port; the next free one when it is taken.")]
Home = Annotated[Path | None, typer.Option(help="Folder for the database, logs and checkpoints.")]
Cpus = Annotated[int | None, typer.Option(min=1, help="CPUs that the local Ray offers.")]
Gpus = Annotated[int | None, typer.Option(min=0, help="GPUs that the local Ray offers.")]


def _settings(host: str | None, port: int | None, home: Path | None, *, embedded: bool) -> Settings:
    given = {"host": host, "port": port, "home": home, "embedded": embedded}
    named = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings.model_validate({**Settings().model_dump(exclude={"embedded"}), **named})
    except ValidationError as error:
        raise SpecError(field_problems(error)) from None


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    home: Home = None,
    num_cpus: Cpus = None,
    num_gpus: Gpus = None,
) -> None:
    """Serve one person on this machine: no tokens, loopback only, SQLite, a local Ray."""
    _serve(_settings(host, port, home, embedded=True), RayResources(num_cpus, num_gpus))


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    home: Home = None,
    num_cpus: Cpus = None,
    num_gpus: Gpus = None,
) -> None:
    """Serve a team: every route but health needs a bearer token."""
    _serve(_settings(host, port, home, embedded=False), RayResources(num_cpus, num_gpus))


@app.command()
def api(host: Host = None, port: Port = None, home: Home = None) -> None:
    """Serve the API alone, with tokens; `dispatch` starts the drivers."""
    from service.serving import serve_api

    _log()
    serve_api(_settings(host, port, home, embedded=False))


@app.command()
def dispatch(
    host: Host = None,
    port: Port = None,
    home: Home = None,
    num_cpus: Cpus = None,
    num_gpus: Gpus = None,
) -> None:
    """Start and watch drivers alone; `GET /healthz` on the port tells whether that goes well."""
    from service.serving import dispatch as run

    _log()
    settings = _settings(host, port, home, embedded=False)
    run(settings, resources=RayResources(num_cpus, num_gpus))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from service.store.open import migrate as run

    run(Settings().store_url)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Whose token it is.")],
    role: Annotated[
        Literal["code"] | None, typer.Option(help="code: it may upload archives of code.")
    ] = None,
) -> None:
    """Make a bearer token straight in the database and print its secret once."""
    from service.auth import issue_token
    from service.dispatching import now
    from service.serving import new_id
    from service.store.open import migrate as bring_up_to_date
    from service.store.open import open_store

    settings = Settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    bring_up_to_date(settings.store_url)
    store = open_store(settings.store_url)
    made = issue_token(store, token_id=new_id(), name=name, now=now(), roles=[role] if role else [])
    typer.echo(made.secret)
    store.close()


def _serve(settings: Settings, resources: RayResources) -> None:
    from service.serving import serve as run

    _log()
    run(settings, resources=resources)


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("alembic", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main() -> None:
    """Run the command line; errors that are expected end it with one line."""
    try:
        app()
    except SweepError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
