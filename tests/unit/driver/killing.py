"""A driver's core over a store in memory, killed and rebuilt at any message."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from sweep.applying import Changes
from sweep.rows import planned_row, to_task
from sweep.space import Space
from sweep.spec import SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TrialState
from sweep.wire import PastReport, RungEntry, TrialTask
from tests.unit.driver.builders import START, row, update
from workers.driver.core import SweepCore
from workers.ledger import Ledger

Curve = Callable[[int, int], float | None]
"""The score of a trial at a step; None: not finite."""


class MemoryStore(Ledger):
    """What SQL holds of a sweep: also the decisions, and the reports of trials that ended."""

    def __init__(self, spec: SweepSpec) -> None:
        planned = Space(spec).trials()
        super().__init__("s", spec, {t.index: planned_row(t, spec, START) for t in planned})
        self.rungs: dict[tuple[int, int], RungEntry] = {}

    def _write(self, changes: Changes) -> None:
        super()._write(changes)
        for entry in changes.rungs:
            self.rungs.setdefault((entry.trial, entry.step), entry)

    def _let_go(self, index: int) -> None:
        """Its reports stay: a driver's successor reads them."""

    def history(self) -> Iterator[PastReport]:
        name = self.spec.rung_metric.name
        for index, reports in sorted(self._reports.items()):
            for report in reports:
                yield PastReport(trial=index, step=report.step, value=report.values[name])

    def core(self, *, max_concurrent: int | None = None) -> SweepCore:
        """A driver that begins now."""
        return SweepCore(
            self.spec,
            self.tasks(),
            tuple(self.rungs.values()),
            max_concurrent=max_concurrent,
            now=START,
            history=self.history(),
        )

    @property
    def verdicts(self) -> list[tuple[object, ...]]:
        """Every decision, without its time."""
        found = [(*e.model_dump(exclude={"time"}).values(),) for e in self.rungs.values()]
        return sorted(found, key=lambda entry: (entry[1], entry[0]))

    @property
    def ends(self) -> list[tuple[object, ...]]:
        rows = (self.rows[index] for index in sorted(self.rows))
        return [(r.state, r.reason, r.step, r.parent) for r in rows]


class Simulation:
    """Trains trials a report at a time, in a given order; each saves its state each time.

    Args:
        spec: the sweep's.
        curve: what trials report.
        every: how many steps a trial trains between reports.
    """

    def __init__(self, spec: SweepSpec, curve: Curve, *, every: int = 1) -> None:
        self.store = MemoryStore(spec)
        self._curve = curve
        self._every = every
        self._time = START
        self._start(self.store.core())

    def _start(self, core: SweepCore) -> None:
        self.core = core
        self._attempts: dict[int, int] = {}
        self._hand_out()

    def _hand_out(self) -> None:
        while (work := self.core.next_work(self._time)) is not None:
            self._attempts |= {task.index: attempt for task, attempt in work.members}

    def task(self, index: int) -> TrialTask:
        """A trial as a driver would read it now."""
        return to_task(self.store.rows[index], "s")

    @property
    def live(self) -> list[int]:
        """The trials that train."""
        self._hand_out()
        running = self._attempts.keys() & set(self.store.rows)
        final = FINAL_TRIAL_STATES
        return sorted(i for i in running if self.store.rows[i].state not in final)

    def kill(self, kept: int) -> None:
        """The driver dies: of its messages not yet sent the first so many were."""
        self.store.take(self.core.take_messages()[:kept])
        self._start(self.store.core())
        self._send()

    def _send(self) -> None:
        self.store.take(self.core.take_messages())

    def fail(self, index: int, kept: int | None) -> None:
        """A trial's process dies, for good."""
        self._time += timedelta(minutes=5)
        self.core.losses.failed(index, self._attempts.pop(index), "died", self._time)
        self._finish(kept)

    def _finish(self, kept: int | None) -> None:
        if kept is None:
            self._send()
            self._add()
        else:
            self.kill(kept)

    def _add(self) -> None:
        """What the service added reaches the driver."""
        self.core.add(self.store.tasks())
        self.core.tick(self._time)
        self._send()

    def retry(self, index: int) -> None:
        """A failed trial is to be tried again."""
        row = self.store.rows[index]
        row.state, row.reason = TrialState.PENDING, "retry"
        self._add()

    def advance(self, index: int, kept: int | None = None) -> None:
        """A trial trains up to its next report; the driver may die as it tells of it."""
        attempt = self._attempts[index]
        done = self.store.rows[index].checkpoint_step
        step = done + self._every
        over = step >= (self.store.rows[index].max_t or 0)  # it is held before it could save
        saved = update(
            row(step, self._curve(index, step)),
            checkpoint=None if over else (step, f"state-{index}-{step}"),
            from_step=done,
        )
        told = self.core.on_updates([(index, attempt, saved)], self._time)
        if told[index] != "go" and told[index] != "stop":
            parked = update(parked=True, from_step=done)
            told = self.core.on_updates([(index, attempt, parked)], self._time)
        if told[index] == "stop":
            del self._attempts[index]
        self._finish(kept)


def run_to_end(
    spec: SweepSpec,
    curve: Curve,
    order: Sequence[int],
    kills: dict[int, int],
    *,
    failing: dict[int, int] | None = None,
    every: int = 1,
) -> MemoryStore:
    """Train a sweep to its end.

    Args:
        spec: the sweep's.
        curve: what trials report.
        order: draws of which of the live trials trains next; then the first each time.
        kills: at which turns the driver dies, and how many messages of the turn were sent.
        failing: the step past which each of these trials fails for good.
        every: how many steps lie between a trial's reports.
    """
    simulation, turn = Simulation(spec, curve, every=every), 0
    again: int | None = None
    while live := simulation.live:
        drawn = order[turn] if turn < len(order) else 0
        index = again if again in live else live[drawn % len(live)]
        kept, again = kills.get(turn), None
        before = simulation.store.rows[index].checkpoint_step
        if failing is not None and before >= failing.get(index, 1 << 60):
            simulation.fail(index, kept)
        else:
            simulation.advance(index, kept)
        told = simulation.store.rows[index]
        cut = told.checkpoint_step == before and told.state not in FINAL_TRIAL_STATES
        if kept is not None and cut:
            kills = {t: k for t, k in kills.items() if t != turn}
            again = index  # nothing of the turn was stored: it is taken once more
            continue
        turn += 1
    assert simulation.core.done
    return simulation.store
