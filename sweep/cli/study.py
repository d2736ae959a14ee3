"""`sweep study`: list, run and report the studies."""

from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import typer
from rich.console import Console

from sweep.cli import local, progress
from sweep.cli.context import Json, named_value
from sweep.cli.output import make_console, outcome_code, print_json, table
from sweep.client import Client
from sweep.errors import SweepError
from sweep.records import SweepRecord
from sweep.space import Space
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.study import Checked, Size, Study, Verdict, find_study, studies
from sweep.study.report import check_packages, make_report
from sweep.study.results import Results, collect, read_results

app = typer.Typer(no_args_is_help=True, help="Run the studies and check what was published.")

Folder = Annotated[
    Path, typer.Option("-o", "--output", help="The folder to write reports to.", file_okay=False)
]


@app.command("list")
def list_studies(json: Json = False) -> None:
    """List the studies: what they check, and how many trials each size has."""
    known = studies().values()
    if json:
        print_json({study.name: _facts(study) for study in known})
        return
    rows = [
        [s.name, s.title, len(s.claims), *(_trials(s, size) for size in ("quick", "full"))]
        for s in known
    ]
    columns = ["name", "what it asks", "claims", "trials, quick", "trials, full"]
    make_console().print(table(columns, rows))


@app.command()
def run(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="The studies to run, one after the other.")],
    size: Annotated[Size, typer.Option(help="Minutes on two cores, or as published.")] = "quick",
    output: Folder = Path("reports"),
    start: Annotated[
        bool,
        typer.Option("--start", help="Start a service if none runs here, and stop it at the end."),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: a parameter, such as the path of a data set."),
    ] = None,
) -> None:
    """Run studies to their end, write their reports, print their claims."""
    chosen = _chosen(names)
    if given and len(chosen) > 1:
        raise typer.BadParameter("--set is for one study at a time")
    parameters = dict(named_value(text, "--set") for text in given or ())
    specs = {study.name: study.read_specs(size, parameters) for study in chosen}
    _check_reports(output)
    console = make_console()
    url, token = context.obj
    ran = {}
    with local.running(console) if start else nullcontext(url) as url, Client(url, token) as client:
        for study in chosen:
            sweeps = _run(client, specs[study.name], console)
            checked = _report(study, read_results(client, size, sweeps), output, console)
            ran[study.name] = all(map(_completed, sweeps)), checked
    counts = Counter(claim.verdict for _, checked in ran.values() for claim in checked)
    text = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    console.print(f"claims: {text}", markup=False)
    if failed := [name for name, (completed, _) in ran.items() if not completed]:
        console.print(f"not completed: {', '.join(failed)}", markup=False)
        raise typer.Exit(1)


@app.command()
def report(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="The studies to report on.")],
    size: Annotated[
        Size | None, typer.Option(help="The size; the one that was run last when not given.")
    ] = None,
    output: Folder = Path("reports"),
    json: Json = False,
) -> None:
    """Write the report of a study's newest run, as Markdown and as a page."""
    chosen = _chosen(names)
    _check_reports(output)
    url, token = context.obj
    made = {}
    with Client(url, token) as client:
        for study in chosen:
            results = collect(client, study, size)
            made[study.name] = _report(study, results, output, None if json else make_console())
    if json:
        print_json({name: [_plain(claim) for claim in claims] for name, claims in made.items()})


def _chosen(names: Iterable[str]) -> list[Study]:
    """The studies of those names, each once."""
    return [find_study(name) for name in dict.fromkeys(names)]


def _check_reports(output: Path) -> None:
    """Say before anything runs what would keep its report from being written.

    Raises:
        SweepError: when a package is missing or the folder cannot be written to.
    """
    check_packages()
    try:
        output.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise SweepError(f"cannot write reports to {str(output)!r}: {error.strerror}") from None


def _run(client: Client, specs: Iterable[SweepSpec], console: Console) -> list[SweepRecord]:
    """Run sweeps to their end, one after the other."""
    sweeps = []
    for spec in specs:
        sweep = client.submit(spec)
        page = f"{client.url}/sweeps/{sweep.id}"
        console.print(f"{spec.name}: {sweep.num_trials:,} trials, {page}", markup=False)
        sweeps.append(progress.follow(client, sweep.id, console))
    return sweeps


def _completed(sweep: SweepRecord) -> bool:
    return outcome_code(sweep) == 0 and not sweep.trials.get(TrialState.FAILED)


def _report(
    study: Study, results: Results, output: Path, console: Console | None
) -> tuple[Checked, ...]:
    made = make_report(study, results)
    files = made.write(output, f"{study.name}-{results.size}")
    if console is not None:
        console.print(_claims(study, made.claims))
        for notice in made.notices:
            console.print(f"note: {notice}", markup=False)
        console.print(f"report: {files[0]} and {files[1].name}", markup=False)
    return made.claims


def _claims(study: Study, checked: Iterable[Checked]) -> object:
    rows = [[c.claim.statement, c.published, c.ours or None, c.verdict] for c in checked]
    return table(["claim", "published", "ours", "verdict"], rows, title=study.title)


def _plain(checked: Checked) -> dict[str, str]:
    claim = checked.claim
    return {
        "statement": claim.statement,
        "source": claim.source,
        "published": checked.published,
        "ours": checked.ours,
        "verdict": checked.verdict,
    }


def _facts(study: Study) -> dict[str, object]:
    sizes = {size: _trials(study, size) for size in study.specs}
    return {"title": study.title, "source": study.source, "trials": sizes}


def _trials(study: Study, size: Size) -> int | None:
    if size not in study.specs:
        return None
    return sum(sum(1 for _ in Space(spec).trials()) for spec in study.read_specs(size))
