"""Commands that ask about many trials at once: pivot, groups, importance, compare."""

from typing import Annotated

import typer

from sweep.analysis import Aggregate, Cell, Comparison, Mode, Pivot, Replicates
from sweep.cli.context import Json, SweepId, client_of
from sweep.cli.output import make_console, print_json, show, table

Metric = Annotated[
    str | None,
    typer.Option(help="A metric's name, best, last.NAME, min.NAME or max.NAME."),
]
Filter = Annotated[str | None, typer.Option(help="Only trials that match.")]

_SHOWN_DIFFERENCES = 30
_SHOWN_PAIRS = 10


def pivot(
    context: typer.Context,
    sweep_id: SweepId,
    rows: Annotated[str, typer.Option(help="A field, such as parameters.task.")],
    columns: Annotated[str, typer.Option(help="A field, such as parameters.network.")],
    metric: Metric = None,
    aggregate: Annotated[Aggregate, typer.Option(help="What a cell shows.")] = "max",
    threshold: Annotated[
        float | None, typer.Option(help="For share: the value that trials should reach.")
    ] = None,
    replicates: Annotated[
        Replicates, typer.Option(help="Count each trial, or the mean of replicates.")
    ] = "each",
    filter: Filter = None,
    json: Json = False,
) -> None:
    """Print a metric over two fields, such as task x network."""
    with client_of(context) as client:
        found = client.pivot(
            sweep_id,
            rows=rows,
            columns=columns,
            metric=metric,
            aggregate=aggregate,
            threshold=threshold,
            replicates=replicates,
            filter=filter,
        )
    if json:
        print_json(found)
        return
    lines = [
        [label, *(_cell(cell) for cell in cells)]
        for label, cells in zip(found.rows, found.cells, strict=True)
    ]
    heads = [found.row_field, *(show(label) for label in found.columns)]
    console = make_console()
    console.print(_pivot_title(found), markup=False)
    console.print(table(heads, lines))


def groups(
    context: typer.Context,
    sweep_id: SweepId,
    by: Annotated[str, typer.Option(help="Fields with commas between.")],
    metric: Metric = None,
    filter: Filter = None,
    json: Json = False,
) -> None:
    """Print trials by the values of some fields: states, mean, median, best."""
    with client_of(context) as client:
        found = client.groups(sweep_id, by=by, metric=metric, filter=filter)
    if json:
        print_json(found)
        return
    lines = [
        [
            *group.labels.values(),
            ", ".join(f"{count} {state}" for state, count in group.states.items()),
            group.mean,
            group.median,
            group.best and group.best.value,
            group.best and group.best.trial,
        ]
        for group in found.items
    ]
    heads = [*found.by, "trials", "mean", "median", "best", "best trial"]
    make_console().print(table(heads, lines, title=found.metric))


def importance(
    context: typer.Context,
    sweep_id: SweepId,
    metric: Metric = None,
    filter: Filter = None,
    json: Json = False,
) -> None:
    """Print which parameters a metric depends on."""
    with client_of(context) as client:
        found = client.importance(sweep_id, metric=metric, filter=filter)
    if json:
        print_json(found)
        return
    console = make_console()
    if found.items:
        lines = [[i.parameter, i.importance, i.std] for i in found.items]
        title = f"{found.metric}, {found.trials} trials"
        console.print(table(["parameter", "importance", "deviation"], lines, title=title))
        console.print(f"importance: {found.method}", markup=False)
    if found.note:
        console.print(found.note, markup=False)


def compare(
    context: typer.Context,
    sweep_ids: Annotated[list[str], typer.Argument(help="Two to eight sweeps.")],
    metric: Metric = None,
    mode: Annotated[
        Mode | None,
        typer.Option(help="Which way the metric is better, where no sweep's spec says."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="A field to compare by, too.")] = None,
    filter: Filter = None,
    json: Json = False,
) -> None:
    """Print sweeps side by side: results, differing spec fields, matched assignments."""
    with client_of(context) as client:
        found = client.compare(*sweep_ids, metric=metric, mode=mode, by=by, filter=filter)
    print_json(found) if json else _print_comparison(found)


COMMANDS = (pivot, groups, importance, compare)
"""In the order in which help lists them."""


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    if cell.low is None or cell.high is None:
        return show(cell.value)
    return f"{show(cell.value)} ({show(cell.low)} to {show(cell.high)})"


def _pivot_title(found: Pivot) -> str:
    if found.aggregate == "count":
        return "count of trials"
    past = "" if found.threshold is None else f" at {show(found.threshold)} or better"
    unit = " over replicates' means" if found.replicates == "mean" else ""
    return f"{found.aggregate} of {found.metric}{past}{unit}"


def _print_comparison(found: Comparison) -> None:
    console = make_console()
    lines = [[s.id, s.name, s.state, s.trials, s.best, s.best_trial, s.mean] for s in found.sweeps]
    heads = ["id", "name", "state", "trials", "best", "best trial", "mean"]
    console.print(table(heads, lines, title=found.metric))
    ids = [sweep.id for sweep in found.sweeps]
    if found.by is not None:
        labels = {repr(g.label): g.label for sweep in found.sweeps for g in sweep.groups}
        best = [{repr(g.label): g.best for g in sweep.groups} for sweep in found.sweeps]
        by_label = [[label, *(b.get(key) for b in best)] for key, label in labels.items()]
        console.print(table([found.by, *ids], by_label, title=f"best by {found.by}"))
    spec = [[d.path, *d.values] for d in found.spec[:_SHOWN_DIFFERENCES]]
    if spec:
        console.print(table(["spec field", *ids], spec, title="Where the specs differ"))
    for other in found.matched:
        if other.difference is None:
            console.print(f"{other.sweep} has no assignment in common with {other.base}")
            continue
        mean = _cell(
            Cell(
                value=other.difference.mean,
                count=other.assignments,
                low=other.difference.low,
                high=other.difference.high,
            )
        )
        both = f"{other.assignments} assignments that both have"
        console.print(f"{other.sweep} minus {other.base}: {mean} over {both}", markup=False)
        pairs = [[p.parameters, p.base, p.other, p.difference] for p in other.pairs[:_SHOWN_PAIRS]]
        heads = ["parameters", other.base, other.sweep, "difference"]
        console.print(table(heads, pairs, title="The largest differences"))
