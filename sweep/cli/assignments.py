"""A sweep's assignments, each the mean over its replicates, as `sweep results` prints them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from sweep.analysis import Group, Groups
from sweep.cli.output import show, table
from sweep.client import Client
from sweep.records import SweepRecord
from sweep.space import lookup


def best_assignments(
    client: Client, sweep: SweepRecord, *, filter: str | None, limit: int
) -> Groups:
    """The first assignments, the best mean first; those without a value last."""
    sort = "-mean" if sweep.spec.metric.mode == "max" else "mean"
    return client.groups(sweep.id, by="assignment", filter=filter, sort=sort, limit=limit)


def rows(groups: Sequence[Group]) -> list[Mapping[str, Any]]:
    """A flat row for each assignment."""
    return [
        {
            "assignment": group.labels["assignment"],
            "parameters": group.parameters,
            "trials": group.trials,
            "count": group.count,
            "mean": group.mean,
            "low": group.low,
            "high": group.high,
            "best_trial": group.best and group.best.trial,
        }
        for group in groups
    ]


def ranking(sweep: SweepRecord, found: Groups) -> Table:
    """Assignments with their means, 95% intervals and what tells them apart."""
    groups = found.items
    names = dict.fromkeys(name for group in groups for name in group.parameters or {})
    varying = [n for n in names if len({repr(_value(g, n)) for g in groups}) > 1]
    lines = [
        [
            group.labels["assignment"],
            ", ".join(f"{count} {state}" for state, count in group.states.items()),
            group.mean,
            None if group.low is None else f"{show(group.low)} … {show(group.high)}",
            group.best and group.best.trial,
            *(_value(group, name) for name in varying),
        ]
        for group in groups
    ]
    heads = ["assignment", "replicates", f"mean {found.metric}", "95% interval", "best trial"]
    return table([*heads, *varying], lines, title=f"{sweep.name}: assignments by {found.metric}")


def _value(group: Group, name: str) -> Any:
    return lookup(group.parameters or {}, name)
