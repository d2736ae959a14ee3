"""Small makers of tasks, specs and updates for tests of the driver."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sweep.space import Space
from sweep.spec import Resources, SweepSpec, parse_spec
from sweep.states import TrialState
from sweep.wire import Assignment, Message, ReportRow, TrialTask
from workers.driver.core import SweepCore
from workers.driver.live import TrialUpdate
from workers.driver.running import RunningSweep

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_spec(
    *,
    early_stopping: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    **fields: Any,
) -> SweepSpec:
    return parse_spec(
        {
            "name": "test",
            "trainable": "some.module:train",
            "metric": {"name": "score", "mode": "max"},
            "parameters": parameters or {"x": {"grid": [1, 2, 3]}},
            "early_stopping": early_stopping or {"type": "none"},
            **fields,
        }
    )


def make_tasks(spec: SweepSpec) -> list[TrialTask]:
    return [
        TrialTask(
            index=trial.index,
            id=f"s-{trial.index}",
            parameters=trial.parameters,
            seed=trial.seed,
            group=trial.group,
            state=TrialState.PENDING,
            max_t=spec.early_stopping.max_t,
        )
        for trial in Space(spec).trials()
    ]


def make_task(index: int = 0, *, group: str = "{}") -> TrialTask:
    return TrialTask(
        index=index,
        id=f"s-{index}",
        parameters={},
        seed=0,
        group=group,
        state=TrialState.PENDING,
        max_t=100,
    )


def make_assignment(spec: SweepSpec, *, edits: int = 0) -> Assignment:
    return Assignment(
        sweep_id="s",
        epoch=1,
        spec=spec,
        code="m:f",
        resources=Resources(),
        reuse_actors=True,
        max_concurrent=None,
        edits=edits,
        lease_s=1.5,
        checkpoint_root="none",
    )


def make_running(
    spec: SweepSpec, emit: Callable[[list[Message]], None] = lambda messages: None
) -> RunningSweep:
    """A sweep that a driver has just begun to run."""
    core = SweepCore(spec, make_tasks(spec), (), max_concurrent=None, now=START)
    return RunningSweep(core, make_assignment(spec), clock=lambda: START, emit=emit)


def row(step: int, score: float | None, **others: float) -> ReportRow:
    return ReportRow(
        step=step,
        time=START,
        values={"score": score, **others},
        nonfinite={} if score is not None else {"score": "nan"},
    )


def update(
    *rows: ReportRow,
    finished: bool = False,
    at_rung: bool = False,
    parked: bool = False,
    error: str | None = None,
    retryable: bool = True,
    checkpoint: tuple[int, str] | None = None,
    from_step: int | None = 0,
) -> TrialUpdate:
    return TrialUpdate(
        node="here",
        from_step=from_step,
        rows=tuple(rows),
        finished=finished,
        at_rung=at_rung,
        parked=parked,
        error=error,
        retryable=retryable,
        checkpoint=checkpoint,
    )


def next_task(core: SweepCore, now: datetime = START) -> tuple[TrialTask, int] | None:
    """The next trial and its attempt, where each goes alone."""
    work = core.next_work(now)
    return None if work is None else work.members[0]


def on_update(core: SweepCore, index: int, attempt: int, news: TrialUpdate) -> bool:
    """Tell of a trial alone; whether it goes on."""
    return core.on_updates([(index, attempt, news)], START)[index] != "stop"


def kinds(messages: Sequence[Any]) -> list[str]:
    return [message.kind for message in messages]
