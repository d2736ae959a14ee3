"""The commands."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep.analysis import Replicates
from sweep.cli import (
    analysis,
    assignments,
    importing,
    lifecycle,
    local,
    plans,
    progress,
    study,
)
from sweep.cli.context import Json, SweepId, client_of
from sweep.cli.output import (
    EXIT_CODES_TEXT,
    EXIT_INTERRUPTED,
    best_first,
    best_trials,
    count_exploits,
    done_count,
    exit_code,
    front_of,
    leaderboard,
    make_console,
    outcome_code,
    print_error,
    print_json,
    print_rows,
    show,
    state_line,
    states_line,
    table,
)
from sweep.cli.own_code import check_reachable
from sweep.cli.trying import run_trial
from sweep.client import Client
from sweep.documents import spec_data
from sweep.errors import SweepError
from sweep.logs import as_text
from sweep.records import DryRun, SweepRecord

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Post sweeps, follow them, query their results.",
    epilog=EXIT_CODES_TEXT,
)
token_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke bearer tokens.")
app.add_typer(token_app, name="token")
app.add_typer(study.app, name="study")
for command in (*lifecycle.COMMANDS, *analysis.COMMANDS):
    app.command()(command)
app.command("run")(run_trial)
app.command("import")(importing.import_sweep)

Url = Annotated[
    str | None, typer.Option(envvar="SWEEP_URL", help="The service; the local one if not given.")
]
Token = Annotated[str | None, typer.Option(envvar="SWEEP_TOKEN", help="A bearer token.")]


@app.callback()
def connect(context: typer.Context, url: Url = None, token: Token = None) -> None:
    """Post sweeps, follow them, query their results."""
    context.obj = (url, token)


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; the next free one when it is taken.")] = 8080,
    home: Annotated[Path | None, typer.Option(help="Folder for database and logs.")] = None,
    run: Annotated[Path | None, typer.Option(help="A spec to run first, to its end.")] = None,
    num_cpus: Annotated[int | None, typer.Option(min=1, help="CPUs for trials.")] = None,
    num_gpus: Annotated[int | None, typer.Option(min=0, help="GPUs for trials.")] = None,
) -> None:
    """Start the service on this machine: API, dispatcher, Ray and SQLite."""
    options = local.Options(host, port, home, num_cpus, num_gpus)
    raise typer.Exit(local.serve(options, spec=run, console=make_console()))


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A spec in YAML or JSON; - for standard input.")],
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run; store nothing.")
    ] = False,
    code: Annotated[
        Path | None,
        typer.Option(help="A folder of your own code, uploaded for the sweep.", file_okay=False),
    ] = None,
    json: Json = False,
) -> None:
    """Post a sweep."""
    path = None if file == "-" else Path(file)
    spec = spec_data(path or sys.stdin.read() + "\n")
    with client_of(context) as client:
        if code is None:
            check_reachable(spec, url=client.url, beside=path)
        if dry_run:
            plan = client.dry_run(spec, code=code)
            print_json(plan) if json else _print_plan(plan)
            return
        sweep = client.submit(spec, code=code)
        if not wait:
            print_json(sweep) if json else _print_submitted(client, sweep)
            return
        if json:
            sweep = client.wait(sweep.id)
            print_json(sweep)
        else:
            console = make_console()
            console.print(f"sweep {sweep.id}: {sweep.num_trials} trials", markup=False)
            sweep = progress.follow(client, sweep.id, console)
            _print_leaderboard(client, sweep, limit=20)
        raise typer.Exit(outcome_code(sweep))


@app.command("list")
def list_sweeps(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only sweeps in this state.")] = None,
    filter: Annotated[
        str | None, typer.Option(help="Such as: 'nightly' in tags and best > 0.9")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Such as: -best,name")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    json: Json = False,
) -> None:
    """List sweeps, newest first."""
    with client_of(context) as client:
        sweeps = client.sweeps(state=state, filter=filter, sort=sort).page(limit=limit).items
    if json:
        print_json(sweeps)
        return
    rows = [
        [
            s.id,
            s.name,
            f"{s.state}: {s.waiting}" if s.waiting else s.state,
            f"{done_count(s)} of {s.num_trials}",
            s.best and s.best.value,
        ]
        for s in sweeps
    ]
    make_console().print(table(["id", "name", "state", "trials ended", "best"], rows))


@app.command("show")
def show_sweep(context: typer.Context, sweep_id: SweepId, json: Json = False) -> None:
    """Show a sweep: its state, progress, best trial and failures."""
    with client_of(context) as client:
        sweep = client.sweep(sweep_id)
        failed = client.trials(sweep_id, filter="state == 'failed'").page(limit=5).items
        exploits = count_exploits(client, sweep)
    if json:
        print_json(sweep)
        return
    console = make_console()
    best = sweep.best
    rows: list[tuple[str, object]] = [
        ("id", sweep.id),
        ("name", sweep.name),
        ("state", state_line(sweep)),
        ("trials", f"{done_count(sweep)} of {sweep.num_trials} ended; {states_line(sweep)}"),
        ("best", f"{show(best.value)} (trial {best.trial_id}, step {best.step})" if best else None),
        ("trainable", sweep.spec.trainable),
        ("early stopping", sweep.spec.early_stopping.type),
        *([] if exploits is None else [("exploits", exploits)]),
        ("created", f"{sweep.created_at:%Y-%m-%d %H:%M:%S} UTC by {sweep.created_by}"),
    ]
    facts = table(["", ""], rows)
    facts.show_header = False
    console.print(facts)
    if (address := front_of(sweep)) is not None:
        console.print(f"Pareto front: {address}", markup=False)
    for reason in sweep.excluded_nodes.values():
        console.print(f"node excluded: {reason}", markup=False)
    for trial in failed:
        last = (trial.error or "").strip().splitlines()[-1:]
        console.print(f"trial {trial.index} failed: {' '.join(last)}", markup=False)


@app.command()
def watch(
    context: typer.Context,
    sweep_id: SweepId,
    rows: Annotated[int, typer.Option(min=1, max=100, help="Trials to show.")] = 15,
    json: Json = False,
) -> None:
    """Watch a sweep's best trials, live, to its end."""
    console = make_console()
    with client_of(context) as client:
        if json:
            sweep = client.wait(sweep_id)
            print_json(sweep)
            raise typer.Exit(outcome_code(sweep))
        try:
            sweep = progress.watch(client, sweep_id, console, rows=rows)
        except KeyboardInterrupt:
            console.print(f"the sweep goes on; see `sweep show {sweep_id}`", markup=False)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(outcome_code(sweep))


@app.command()
def results(
    context: typer.Context,
    sweep_id: SweepId,
    filter: Annotated[
        str | None, typer.Option(help="Such as: parameters.lr >= 1e-3 and best > 0.9")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Such as: -best,index")] = None,
    fields: Annotated[
        str | None, typer.Option(help="Only these: index,parameters.lr,metrics.loss@100")
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Print only how many match.")] = False,
    replicates: Annotated[
        Replicates,
        typer.Option(help="A row for each trial, or (mean) for each assignment, the best first."),
    ] = "each",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    format: Annotated[
        Literal["table", "json", "csv"], typer.Option(help="How to print them.")
    ] = "table",
    json: Json = False,
) -> None:
    """Print a sweep's trials, the best first."""
    with client_of(context) as client:
        sweep = client.sweep(sweep_id)
        if replicates == "mean":
            if sort or fields:
                raise typer.BadParameter(
                    "is for trials: leave it out with --replicates mean",
                    param_hint="--sort" if sort else "--fields",
                )
            ranked = assignments.best_assignments(client, sweep, filter=filter, limit=limit)
            kind = "json" if json else format
            if count:
                total = ranked.total
                print_json({"count": total}) if json else sys.stdout.write(f"{total}\n")
            elif kind == "table":
                make_console().print(assignments.ranking(sweep, ranked))
            else:
                print_rows(assignments.rows(ranked.items), kind)
            return
        listing = client.trials(sweep_id, filter=filter, sort=sort or best_first(sweep))
        if count:
            found = listing.count()
            print_json({"count": found}) if json else sys.stdout.write(f"{found}\n")
            return
        if fields:
            rows = listing.select(fields).page(limit=limit).items
            print_rows(rows, "json" if json else format)
            return
        trials = listing.page(limit=limit).items
    if json or format == "json":
        print_json(trials)
    elif format == "csv":
        local.write_csv(trials, sys.stdout)
    else:
        make_console().print(leaderboard(sweep, trials))


@app.command()
def logs(
    context: typer.Context,
    trial_id: Annotated[str, typer.Argument(help="The trial's id, such as SWEEP-0.")],
    stream: Annotated[
        Literal["stdout", "stderr"] | None, typer.Option(help="Only that stream.")
    ] = None,
    tail: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Only so many lines from the end.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the trial has ended.")
    ] = False,
    json: Json = False,
) -> None:
    """Print what was printed while a trial trained, attempt after attempt."""
    with client_of(context) as client:
        read = client.follow_logs if follow else client.logs
        pieces = read(trial_id, stream=stream, tail=tail)
        if json:
            print_json(pieces)
            return
        for text in as_text(pieces):
            sys.stdout.write(text)
            sys.stdout.flush()


@app.command()
def export(
    context: typer.Context,
    sweep_id: SweepId,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    layout: Annotated[
        Literal["trials", "published"], typer.Option(help="One row a trial, or as published.")
    ] = "trials",
    filter: Annotated[str | None, typer.Option(help="Only trials that match.")] = None,
    fields: Annotated[
        str | None, typer.Option(help="Only these columns: index,parameters,best")
    ] = None,
    json: Json = False,
) -> None:
    """Write a sweep's trials to a CSV, Parquet or Arrow file, as its name ends."""
    with client_of(context) as client:
        asked = [fields] if fields else []
        client.export(sweep_id, output, layout=layout, filter=filter, fields=asked)
    if json:
        print_json({"sweep": sweep_id, "file": str(output), "bytes": output.stat().st_size})


@app.command()
def trainables(context: typer.Context, json: Json = False) -> None:
    """List the registered trainables."""
    with client_of(context) as client:
        found = client.trainables()
    if json:
        print_json(found)
        return
    rows = [[t.name, t.description, t.metrics] for t in found]
    make_console().print(table(["name", "what it trains", "metrics"], rows))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a sweep spec."""
    from sweep.spec import SweepSpec

    print_json(SweepSpec.model_json_schema())


@token_app.command("create")
def create_token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose token it is.")],
    role: Annotated[
        Literal["code"] | None,
        typer.Option(help="code: it may upload archives of code, as yours may."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a token and print its secret, this once."""
    with client_of(context) as client:
        token = client.create_token(name, roles=[role] if role else [])
    print_json(token) if json else sys.stdout.write(f"{token.secret}\n")


@token_app.command("list")
def list_tokens(context: typer.Context, json: Json = False) -> None:
    """List tokens, without secrets."""
    with client_of(context) as client:
        tokens = client.tokens()
    if json:
        print_json(tokens)
        return
    rows = [[t.id, t.name, t.roles, t.created_at, t.last_used_at, t.revoked_at] for t in tokens]
    columns = ["id", "name", "roles", "created", "last used", "revoked"]
    make_console().print(table(columns, rows))


@token_app.command("revoke")
def revoke_token(
    context: typer.Context,
    token: Annotated[str, typer.Argument(help="Its id or name.")],
    json: Json = False,
) -> None:
    """Make a token worthless."""
    with client_of(context) as client:
        record = client.revoke_token(token)
    print_json(record) if json else sys.stdout.write(f"revoked {record.name}\n")


def _print_submitted(client: Client, sweep: SweepRecord) -> None:
    console = make_console()
    console.print(f"sweep {sweep.id}: {sweep.num_trials} trials, {sweep.state}", markup=False)
    console.print(f"  sweep watch {sweep.id}\n  sweep results {sweep.id}", markup=False)
    console.print(f"  {client.url}/sweeps/{sweep.id}", markup=False)


def _print_leaderboard(client: Client, sweep: SweepRecord, *, limit: int) -> None:
    make_console().print(leaderboard(sweep, best_trials(client, sweep, limit=limit)))


def _print_plan(plan: DryRun) -> None:
    console = make_console()
    console.print(table(["what", "how much"], plans.plan_rows(plan), title="What would run"))
    names = list(dict.fromkeys(name for a in plan.assignments for name in a))
    rows = [[a.get(name) for name in names] for a in plan.assignments]
    console.print(table(names, rows, title="First assignments"))
    groups = [[g.group, g.trials] for g in plan.groups[:10]]
    console.print(table(["group", "trials"], groups, title="First groups"))
    if plan.rungs:
        rungs = [[r.step, r.keeps] for r in plan.rungs]
        console.print(table(["step", "about so many go on"], rungs, title="Rungs"))


def main() -> None:
    """Run the command line; an error that is expected ends it with a message and a code."""
    try:
        app()
    except SweepError as error:
        print_error(error)
        raise SystemExit(exit_code(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None
