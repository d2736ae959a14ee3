"""The real dispatcher and store, with drivers and workers in simulated time."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from benchmarks.simulated import MAX_T, RUNGS, Agenda, CoreCost, SimulatedWorkers, Timer, spec_of
from service.auth import hash_secret
from service.dispatch.core import Limits
from service.dispatch.launcher import Exit, Launch, Launcher
from service.dispatch.loop import Dispatcher
from service.store.interface import NewSweep, Store
from sweep.space import Space
from sweep.states import WantedState
from sweep.wire import (
    MAX_BATCH_MESSAGES,
    Ack,
    Batch,
    Heartbeat,
    Known,
    Message,
    RungEntry,
    Signs,
    TrialTask,
)
from workers.driver.core import SweepCore

LEASE = timedelta(seconds=30)
BEAT_EVERY_S = 2.0
DISPATCH_EVERY_S = 0.5
SMALL_SWEEP = 10
_PAGE = 1_000


@dataclass(frozen=True)
class Scenario:
    """What is simulated."""

    trials: int
    """In all sweeps together."""
    workers: int = 10_000
    running: int = 20
    """Large sweeps, which run first and at once."""
    queued: int = 200
    """Small sweeps, which wait until a large one has ended."""
    deaths: int = 2
    """Drivers that die without a word, one a simulated minute."""
    batch_every_s: float = 5.0
    """How long a driver gathers messages. One that the service keeps waiting gathers for as
    long as the answer to its last batch takes, so this is what load makes of 0.2 s."""


@dataclass
class Measured:
    """What the service took, in seconds of the simulation's timer."""

    scenario: Scenario
    created_s: float = 0.0
    steps: list[tuple[int, float]] = field(default_factory=list)
    """The finished trials at each of the dispatcher's decisions, and how long it took."""
    batches: list[float] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    messages: int = 0
    reports: int = 0
    updates: int = 0
    """Trials' rows that batches changed."""
    finished: int = 0
    core: CoreCost = field(default_factory=CoreCost)
    simulated_s: float = 0.0
    wall_s: float = 0.0


class Simulation:
    """Runs a scenario on a store that is empty."""

    def __init__(self, store: Store, scenario: Scenario, *, timer: Timer) -> None:
        self.store = store
        self.timer = self._timer = timer
        self.agenda = Agenda()
        self.measured = Measured(scenario)
        self._scenario = scenario
        self._launcher = _Launcher()
        self._dispatcher = Dispatcher(
            store,
            self._launcher,
            limits=Limits(max_running=scenario.running),
            lease=LEASE,
            clock=self.agenda,
        )
        self._drivers: dict[str, SimulatedDriver] = {}

    def run(self) -> Measured:
        """Create the sweeps and run them to their end."""
        began, started = time.perf_counter(), self._timer()
        self._create()
        self.measured.created_s = self._timer() - started
        self.agenda.after(0, self._dispatch)
        for i in range(self._scenario.deaths):
            self.agenda.after(10 + 60 * i, self._kill_one)
        while self.agenda.next():
            pass
        self.measured.simulated_s = self.agenda.seconds
        self.measured.wall_s = time.perf_counter() - began
        return self.measured

    def _create(self) -> None:
        scenario = self._scenario
        left = scenario.trials - scenario.queued * SMALL_SWEEP
        large, rest = divmod(left, scenario.running)
        for i in range(scenario.running + scenario.queued):
            is_large = i < scenario.running
            spec = spec_of(
                f"simulated-{i}",
                trials=large + (i < rest) if is_large else SMALL_SWEEP,
                workers=scenario.workers // scenario.running,
                priority=int(is_large),
                max_t=MAX_T if is_large else RUNGS[0],
            )
            new = NewSweep(id=f"s{i}", spec=spec, created_by="me", created_at=self.agenda())
            self.store.create_sweep(new, Space(spec).trials())

    def _dispatch(self) -> None:
        began = self._timer()
        self._dispatcher.step()
        took = self._timer() - began
        self.measured.steps.append((self.measured.finished, took))
        for launch in self._launcher.take():
            driver = SimulatedDriver(self, self._launcher, launch)
            self._drivers[launch.sweep_id] = driver
            driver.start()
        if self.store.on_duty():
            self.agenda.after(DISPATCH_EVERY_S, self._dispatch)

    def _kill_one(self) -> None:
        alive = [driver for driver in self._drivers.values() if not driver.workers.gone]
        if alive:
            alive[0].workers.gone = True


class _Launcher(Launcher):
    """Hands launches to the simulation."""

    def __init__(self) -> None:
        self._launched: list[Launch] = []
        self.exits: list[Exit] = []

    def launch(self, launch: Launch) -> None:
        self._launched.append(launch)

    def ended(self) -> Sequence[Exit]:
        exits, self.exits = self.exits, []
        return exits

    def kill(self, sweep_id: str, epoch: int) -> None:
        """Nothing: drivers here die whole, and none is frozen."""

    def stop(self) -> None:
        self._launched.clear()

    def take(self) -> list[Launch]:
        launched, self._launched = self._launched, []
        return launched


class SimulatedDriver:
    """What `workers.driver` does, with its calls to the service made on the store."""

    def __init__(self, simulation: Simulation, launcher: _Launcher, launch: Launch) -> None:
        self._store, self._agenda = simulation.store, simulation.agenda
        self._timer = simulation.timer
        self._measured, self._launcher, self._launch = simulation.measured, launcher, launch
        driver = self._store.identify_driver(hash_secret(launch.token))
        assert driver is not None
        self._identity = driver
        spec = self._store.get_sweep(launch.sweep_id).spec
        self._core = SweepCore(
            spec,
            load_tasks(self._store, launch.sweep_id),
            load_rungs(self._store, launch.sweep_id),
            max_concurrent=spec.max_concurrent,
            now=self._agenda(),
        )
        self._outbox: deque[Message] = deque()
        self._outbox.extend(self._core.take_messages())
        self._finished = False
        self.workers = SimulatedWorkers(
            self._core,
            self._agenda,
            self._outbox.extend,
            most=spec.max_concurrent or 1,
            cost=self._measured.core,
            timer=self._timer,
        )

    def start(self) -> None:
        """Begin to train, to send and to beat."""
        self.workers.fill()
        self._agenda.after(BEAT_EVERY_S, self._beat)
        self._agenda.after(self._measured.scenario.batch_every_s, self._send)

    def _beat(self) -> None:
        if self.workers.gone:
            return
        began = self._timer()
        beat = Heartbeat(known=self._known(), signs=self._signs())
        ack = self._store.heartbeat(self._identity, beat, now=self._agenda(), lease=LEASE)
        self._measured.beats.append(self._timer() - began)
        self._take(ack)
        self._agenda.after(BEAT_EVERY_S, self._beat)

    def _send(self) -> None:
        if self.workers.gone:
            return
        if self._core.done and not self._finished:
            self._finished = True
            self._core.finish(self._agenda())
            self._outbox.extend(self._core.take_messages())
        while self._outbox:
            self._send_batch()
        if self._finished:
            self.workers.gone = True
            self._launcher.exits.append(Exit(self._launch.sweep_id, self._launch.epoch, "exit 0"))
        else:
            self._agenda.after(self._measured.scenario.batch_every_s, self._send)

    def _send_batch(self) -> None:
        size = min(len(self._outbox), MAX_BATCH_MESSAGES)
        messages = tuple(self._outbox.popleft() for _ in range(size))
        batch = Batch(messages=messages, known=self._known())
        began = self._timer()
        ack = self._store.apply_batch(self._identity, batch, now=self._agenda(), lease=LEASE)
        self._measured.batches.append(self._timer() - began)
        _count(self._measured, messages)
        self._take(ack)

    def _take(self, ack: Ack) -> None:
        assert ack.wanted is WantedState.RUN or self._finished
        self._core.add(ack.trials)
        self._core.limit(
            self._agenda(),
            places=ack.places,
            max_concurrent=ack.max_concurrent,
            budget=ack.budget,
        )

    def _known(self) -> Known:
        return Known(trials=self._core.known_trials)

    def _signs(self) -> Signs:
        glance = self._core.glance()
        return Signs(
            cluster={"CPU": self._measured.scenario.workers},
            need={"CPU": 1},
            places=glance.works + glance.waiting,
        )


def load_tasks(store: Store, sweep_id: str) -> list[TrialTask]:
    """Every trial of a sweep, page by page as a driver reads them."""
    found: list[TrialTask] = []
    after: int | None = -1
    while after is not None:
        page = store.tasks(sweep_id, after=after, limit=_PAGE)
        found += page.items
        after = page.next_after
    return found


def load_rungs(store: Store, sweep_id: str) -> list[RungEntry]:
    """Every rung decision of a sweep, page by page as a driver reads them."""
    found: list[RungEntry] = []
    after: int | None = 0
    while after is not None:
        page = store.rung_entries(sweep_id, after=after, limit=_PAGE)
        found += page.items
        after = page.next_after
    return found


def _count(measured: Measured, messages: Sequence[Message]) -> None:
    measured.messages += len(messages)
    measured.updates += len(
        {m.trial for m in messages if m.kind in ("started", "reports", "moved")}
    )
    measured.reports += sum(len(m.rows) for m in messages if m.kind == "reports")
    final = [
        m for m in messages if m.kind == "moved" and m.state.value not in ("pending", "paused")
    ]
    measured.finished += len(final)
