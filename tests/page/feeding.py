"""A driver that trains nothing: what a real one would tell, over the same REST routes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any, Self

import httpx

from service.auth import new_driver_token
from service.store.interface import Store
from sweep.states import SweepState, TrialState
from sweep.wire import (
    Assignment,
    Batch,
    Heartbeat,
    Known,
    LogWritten,
    Message,
    ReportRow,
    Reports,
    RungDecided,
    RungEntry,
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

    def __init__(self, url: str, store: Store, sweep_id: str, *, epoch: int = 0) -> None:
        secret, token_hash = new_driver_token()
        lease = timedelta(hours=1)
        started = store.start_driver(
            sweep_id, after_epoch=epoch, token_hash=token_hash, now=now(), lease=lease
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

    def beat(self) -> Mapping[str, Any]:
        return self._post("heartbeat", Heartbeat(known=self._known))

    def start(self, trial: int) -> None:
        self.send(TrialStarted(trial=trial, attempt=1, node=NODES[trial % len(NODES)], time=now()))

    def report(self, trial: int, values: Mapping[int, float]) -> None:
        rows = tuple(
            ReportRow(step=step, time=now(), values={"accuracy": value, "loss": 1.02 - value})
            for step, value in values.items()
        )
        self.send(Reports(trial=trial, attempt=1, rows=rows))

    def move(self, trial: int, state: TrialState, reason: str, error: str | None = None) -> None:
        self.send(
            TrialMoved(
                trial=trial,
                attempt=1,
                state=state,
                reason=reason,
                error=error,
                failed=error is not None,
                time=now(),
            )
        )

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


TRACEBACK = """Traceback (most recent call last):
  File "workers/trainables/arithmetic.py", line 88, in train
    loss = criterion(network(batch), wanted)
RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x256 and 128x128)
"""


def curve(task: TrialTask) -> Iterator[tuple[int, float]]:
    """An accuracy for every twentieth step: fast for multiplications, slow otherwise."""
    kind = task.parameters["network"]["type"]
    lr = float(task.parameters["lr"])
    best = {"dense": 0.35, "multiply": 0.98, "multiply_simple": 0.85}[kind]
    speed = 900 * lr**0.5 / (1 + 300 * lr)
    for step in range(20, 901, 20):
        wobble = 0.02 * ((step * 7 + task.index * 13) % 11 - 5) / 5
        yield step, round(max(0.0, min(1.0, best * (1 - exp(-speed * step / 900)) + wobble)), 5)


def play(driver: Driver, *, ended: int) -> None:
    """Train the first trials to their ends, as ASHA would, and begin three more."""
    for task in driver.tasks[:ended]:
        _train(driver, task)
    for task in driver.tasks[ended : ended + 3]:
        driver.start(task.index)
        driver.report(task.index, dict(list(curve(task))[: 4 + task.index % 5]))


def _train(driver: Driver, task: TrialTask) -> None:
    driver.start(task.index)
    values = dict(curve(task))
    if task.index % 17 == 6:
        driver.report(task.index, {s: v for s, v in values.items() if s <= 60})
        driver.move(task.index, TrialState.FAILED, "error", TRACEBACK)
        return
    stop = 900 if values[100] > 0.3 else 300 if values[100] > 0.15 else 100
    driver.report(task.index, {s: v for s, v in values.items() if s <= stop})
    _print(driver, task, values)
    for rung in (100, 300, 900):
        if rung <= stop:
            decision = "stop" if rung == stop and stop < 900 else "continue"
            entry = RungEntry(
                step=rung,
                trial=task.index,
                group=task.group,
                value=values[rung],
                peers=3,
                cutoff=0.3,
                decision=decision,
                time=now(),
            )
            driver.send(RungDecided(entry=entry))
    if stop < 900:
        driver.move(task.index, TrialState.STOPPED, "rung")
    else:
        driver.move(task.index, TrialState.COMPLETED, "max_t")


def _print(driver: Driver, task: TrialTask, values: Mapping[int, float]) -> None:
    lines = "".join(f"step {s:>4}  accuracy {v:.4f}\n" for s, v in list(values.items())[:8])
    driver.send(LogWritten(work=f"{task.index}-1", seq=0, stream="stdout", text=lines, time=now()))


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
