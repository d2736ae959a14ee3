"""A driver that trains nothing: what a real one would tell, over the same REST routes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import exp, log10
from typing import Any, Self

import httpx

from service.auth import new_driver_token
from service.store.interface import Store
from sweep.records import Usage
from sweep.states import SweepState, TrialState
from sweep.wire import (
    Assignment,
    Batch,
    Exploited,
    Heartbeat,
    Known,
    LogWritten,
    Message,
    ReportRow,
    Reports,
    RungDecided,
    RungEntry,
    Signs,
    SweepFinished,
    TaskPage,
    TrialMoved,
    TrialStarted,
    TrialTask,
)

NODES = ("10.0.0.4", "10.0.0.5", "10.0.0.6")

SPEC: Mapping[str, Any] = {
    "name": "arithmetic-quickstart",
    "description": "One multiplication learns XOR of wide vectors; two dense layers do not.",
    "trainable": "arithmetic",
    "metric": {"name": "accuracy", "mode": "max", "target": 0.99},
    "parameters": {
        "task": {"grid": ["elementwise_mul", "logical_xor", "logical_and"]},
        "dataset": "many_hot",
        "network": {
            "grid": [
                {"type": "dense", "depth": 2, "activation": "relu"},
                {"type": "multiply"},
                {"type": "multiply_simple"},
            ]
        },
        "lr": {"grid": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]},
    },
    "early_stopping": {
        "type": "asha",
        "grace_period": 100,
        "max_t": 900,
        "reduction_factor": 3,
        "group_by": ["task", "network"],
    },
    "tags": ["demo"],
}


def now() -> datetime:
    return datetime.now(UTC)


class Driver:
    """One running sweep's driver, by its token alone."""

    def __init__(
        self, url: str, store: Store, sweep_id: str, *, ago: timedelta = timedelta()
    ) -> None:
        secret, token_hash = new_driver_token()
        self.began = now() - ago
        lease = ago + timedelta(hours=1)
        started = store.start_driver(
            sweep_id, after_epoch=0, token_hash=token_hash, now=self.began, lease=lease
        )
        assert started is not None
        headers = {"Authorization": f"Bearer {secret}"}
        self._http = httpx.Client(base_url=f"{url}/v1/driver", headers=headers, timeout=30)
        self.assignment = Assignment.model_validate(self._get("assignment"))
        self.tasks: Sequence[TrialTask] = TaskPage.model_validate(
            self._get("trials?limit=1000")
        ).items
        self._known = Known(trials=len(self.tasks))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, *messages: Message) -> Mapping[str, Any]:
        """A batch; the service's answer."""
        return self._post("batch", Batch(messages=messages, known=self._known))

    def beat(self, used: Usage | None = None) -> Mapping[str, Any]:
        return self._post(
            "heartbeat", Heartbeat(known=self._known, signs=Signs(used=used or Usage()))
        )

    def start(self, trial: int) -> None:
        self.send(TrialStarted(trial=trial, attempt=1, node=NODES[trial % len(NODES)], time=now()))

    def report(self, trial: int, values: Mapping[int, float], *, attempt: int = 1) -> None:
        rows = tuple(
            ReportRow(step=step, time=now(), values={"accuracy": value, "loss": 1.02 - value})
            for step, value in values.items()
        )
        self.send(Reports(trial=trial, attempt=attempt, rows=rows))

    def move(self, trial: int, state: TrialState, reason: str, error: str | None = None) -> None:
        self.send(ended(self.tasks[trial], state, reason, now(), error))

    def exploit(
        self, trial: int, *, donor: int, lr: float, step: int = 300, attempt: int = 1
    ) -> None:
        """A trial goes on from a better one's state with another learning rate."""
        parameters = {**self.tasks[donor].parameters, "lr": lr}
        exploited = Exploited(
            trial=trial,
            attempt=attempt,
            donor=donor,
            step=step,
            value=0.3421,
            donor_value=0.9702,
            parameters=parameters,
            checkpoint=f"file:///states/{donor}/{step}",
            checkpoint_step=step,
            time=now(),
        )
        node = NODES[trial % len(NODES)]
        self.send(exploited, TrialStarted(trial=trial, attempt=attempt + 1, node=node, time=now()))

    def finish(self, state: SweepState = SweepState.COMPLETED) -> None:
        self.send(SweepFinished(state=state, time=now()))

    def _get(self, path: str) -> Any:
        return self._http.get(f"/{path}").raise_for_status().json()

    def _post(self, path: str, body: Batch | Heartbeat) -> Mapping[str, Any]:
        answer = self._http.post(
            f"/{path}",
            content=body.model_dump_json(),
            headers={"Content-Type": "application/json"},
        )
        found: Mapping[str, Any] = answer.raise_for_status().json()
        return found


def play_population(driver: Driver, *, interval: int = 300) -> None:
    """Train a population past two comparisons; at each a third goes on from another's state."""
    for task in driver.tasks:
        driver.start(task.index)
        donor = driver.tasks[(task.index + 1) % len(driver.tasks)]
        values = dict(curve(task))
        attempt = 1
        for turn, factor in enumerate((0.8, 1.2), start=1):
            end = turn * interval
            trained = {at: value for at, value in values.items() if end - interval < at <= end}
            driver.report(task.index, trained, attempt=attempt)
            if (task.index + turn) % 3 == 0:
                lr = factor * float(donor.parameters["lr"])
                driver.exploit(task.index, donor=donor.index, lr=lr, step=end, attempt=attempt)
                attempt += 1
        driver.report(task.index, {840: values[840]}, attempt=attempt)


def ended(
    task: TrialTask, state: TrialState, reason: str, time: datetime, error: str | None = None
) -> TrialMoved:
    """A trial's first attempt comes to an end; with an error, by failing."""
    return TrialMoved(
        trial=task.index,
        attempt=1,
        state=state,
        reason=reason,
        error=error,
        failed=error is not None,
        time=time,
    )


TRACEBACK = """Traceback (most recent call last):
  File "workers/trainables/arithmetic.py", line 88, in train
    loss = criterion(network(batch), wanted)
RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x256 and 128x128)
"""


LEVELS = {
    "dense": (0.41, 0.34, 0.93, 0.88, 0.97),
    "multiply": (0.99, 0.97, 0.99, 0.72, 0.55),
    "multiply_simple": (0.91, 0.86, 0.95, 0.66, 0.48),
    "dense_residual": (0.63, 0.58, 0.96, 0.9, 0.98),
}
"""The accuracy that a network comes to with a good learning rate, for each of `TASKS`."""
TASKS = ("elementwise_mul", "logical_xor", "logical_and", "logical_or", "elementwise_add")


def curve(task: TrialTask) -> Iterator[tuple[int, float]]:
    """An accuracy for every twentieth step: best at a learning rate of 0.002, a little noisy."""
    parameters = task.parameters
    level = LEVELS[parameters["network"]["type"]][TASKS.index(parameters["task"])]
    away = log10(float(parameters["lr"]) / 2e-3)
    level *= exp(-(away**2) / 4) * (1 + 0.04 * ((task.index * 7) % 13 - 6) / 6)
    for step in range(20, 901, 20):
        wobble = 0.012 * ((step * 7 + task.index * 13) % 11 - 5) / 5
        reached = level * (1 - exp(-(3 + away) * step / 400)) + wobble
        yield step, round(max(0.0, min(1.0, reached)), 5)


STEP_S = 0.45
BATCH = 1_000
PLACES = 6
"""Trials that train at once, two on a node."""


def play(driver: Driver, *, ended: int, begun: int = 3) -> Usage:
    """Train the first trials to their ends, as ASHA would, and begin some more."""
    free = [driver.began + timedelta(seconds=4 * place) for place in range(PLACES)]
    messages: list[Message] = []
    steps = 0
    tasks = driver.tasks[: ended + begun]
    for i, task in enumerate(tasks):
        place = min(range(PLACES), key=free.__getitem__)
        to = None if i < ended else 140 + 80 * (task.index % 5)
        latest = now() - timedelta(seconds=STEP_S * (to or 0) + 5)
        start = free[place] if to is None else min(free[place], latest)
        trained, until = _trained(task, start, NODES[place % len(NODES)], to)
        messages += trained
        steps += until
        free[place] += timedelta(seconds=STEP_S * until + 2)
    for first in range(0, len(messages), BATCH):
        driver.send(*messages[first : first + BATCH])
    used = Usage(
        seconds=(min(max(free), now()) - driver.began).total_seconds(),
        gpu_seconds=STEP_S * steps / 4,
        trial_steps=steps,
        trials=len(tasks),
    )
    driver.beat(used)
    return used


def _trained(
    task: TrialTask, start: datetime, node: str, to: int | None
) -> tuple[list[Message], int]:
    """What a trial that starts then tells until it ends, or until a step; and its last step."""
    values = dict(curve(task))
    failed = to is None and task.index % 17 == 6
    stop = 900 if values[100] > 0.3 else 300 if values[100] > 0.15 else 100
    last = 60 if failed else to or stop

    def at(step: int) -> datetime:
        return start + timedelta(seconds=STEP_S * step)

    messages: list[Message] = [
        TrialStarted(trial=task.index, attempt=1, node=node, time=start),
        Reports(trial=task.index, attempt=1, rows=tuple(_rows(values, last, at))),
    ]
    if to is not None:
        return messages, last
    if failed:
        return [*messages, ended(task, TrialState.FAILED, "error", at(last), TRACEBACK)], last
    messages.append(_printed(task, values, at(last)))
    messages += [_decided(task, rung, values, last) for rung in (100, 300, 900) if rung <= last]
    state, reason = (TrialState.STOPPED, "rung") if last < 900 else (TrialState.COMPLETED, "max_t")
    return [*messages, ended(task, state, reason, at(last))], last


def _rows(
    values: Mapping[int, float], last: int, at: Callable[[int], datetime]
) -> Iterator[ReportRow]:
    for step, value in values.items():
        if step <= last:
            shown = {"accuracy": value, "loss": round(1.02 - value, 5)}
            yield ReportRow(step=step, time=at(step), values=shown)


def _decided(task: TrialTask, rung: int, values: Mapping[int, float], last: int) -> Message:
    entry = RungEntry(
        step=rung,
        trial=task.index,
        group=task.group,
        value=values[rung],
        peers=3,
        cutoff=0.3,
        decision="stop" if rung == last and last < 900 else "continue",
        time=now(),
    )
    return RungDecided(entry=entry)


def _printed(task: TrialTask, values: Mapping[int, float], time: datetime) -> Message:
    lines = "".join(f"step {s:>4}  accuracy {v:.4f}\n" for s, v in list(values.items())[:8])
    return LogWritten(work=f"{task.index}-1", seq=0, stream="stdout", text=lines, time=time)


def product_messages(tasks: Sequence[TrialTask]) -> Iterator[Message]:
    """Every trial of the study `product`, trained to about what it was found to reach."""
    outside = {"relu": 38.0, "log_relu": 4.0, "log_linear": 1e-5, "multiply": 2e-5}
    for task in tasks:
        network = task.parameters["network"]
        units = network.get("units", 1)
        spread = 1 + 0.05 * (task.index % 3) + (0.4 if task.parameters["lr"] > 2e-3 else 0)
        rmse = 0.1 * spread / units if network["type"] == "relu" else 1e-3 * spread / units
        values = {"rmse": rmse, "rmse_outside": outside[network["type"]] * spread}
        yield TrialStarted(trial=task.index, attempt=1, node=NODES[0], time=now())
        yield Reports(
            trial=task.index,
            attempt=1,
            rows=(ReportRow(step=20_000, time=now(), values=values),),
        )
        yield TrialMoved(
            trial=task.index, attempt=1, state=TrialState.COMPLETED, reason="max_t", time=now()
        )
