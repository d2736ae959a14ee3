"""Where every trial of a running sweep stands: the state that the core keeps."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sweep.states import TrialState
from sweep.wire import RungEntry, TrialTask
from workers.driver.packing import Waiting
from workers.driver.retries import Retries
from workers.driver.stopping import Decision, Outcome


@dataclass(frozen=True)
class Work:
    """Trials that were handed out to be trained in one place."""

    members: tuple[tuple[TrialTask, int], ...]
    """Each trial and the number of this attempt at it."""
    pack: str | None = None
    """The pack's name; None for a trial alone."""


@dataclass(frozen=True)
class Glance:
    """How much of a sweep runs and waits. A work is a trial alone, or a pack."""

    works: int
    """Works that were handed out."""
    waiting: int
    """Works that wait to be handed out, about."""
    training: bool
    """Whether a trial that was handed out has begun."""
    beginning: bool
    """Whether one that was handed out has not."""
    retry_at: datetime | None
    """When the next trial that failed may be tried again."""


@dataclass
class Attempt:
    """A trial that was handed out to be trained."""

    task: TrialTask
    number: int
    pack: str | None = None
    node: str | None = None
    """Where it trains, by Ray's id."""
    started: bool = False
    fresh: bool = True
    """Whether no update has come from it before the last one."""
    last: float | None = None
    """The last finite value of the metric that rungs compare."""
    step: int = 0
    """The last step that it reported, or went on from."""
    unseen: set[str] = field(default_factory=set)
    """What the sweep optimises and was not reported, neither in this attempt nor before its
    saved state.
    """
    error: str | None = None
    retryable: bool = True

    @property
    def work(self) -> str | int:
        """What its process trains: the pack's name, or the index of a trial alone."""
        return self.task.index if self.pack is None else self.pack


class Running(Mapping[int, Attempt]):
    """The trials that were handed out, by index, and the works that they make."""

    def __init__(self) -> None:
        self._attempts: dict[int, Attempt] = {}
        self._sizes: dict[str | int, int] = {}
        self._begun: set[str | int] = set()

    def __getitem__(self, index: int) -> Attempt:
        return self._attempts[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._attempts)

    def __len__(self) -> int:
        return len(self._attempts)

    @property
    def works(self) -> Collection[str | int]:
        """What is handed out, in the order in which it was."""
        return self._sizes.keys()

    @property
    def begun(self) -> int:
        """How many works have begun: others that are handed out wait for a place."""
        return len(self._begun)

    def begin(self, attempt: Attempt) -> None:
        """A trial's training has begun."""
        attempt.started = True
        if attempt.task.index in self._attempts:
            self._begun.add(attempt.work)

    def add(self, attempt: Attempt) -> None:
        """A trial was handed out."""
        self._attempts[attempt.task.index] = attempt
        self._sizes[attempt.work] = self._sizes.get(attempt.work, 0) + 1

    def discard(self, index: int) -> None:
        """A trial's process has let go of it, if one had it."""
        attempt = self._attempts.pop(index, None)
        if attempt is None:
            return
        self._sizes[attempt.work] -= 1
        if not self._sizes[attempt.work]:
            del self._sizes[attempt.work]
            self._begun.discard(attempt.work)

    def clear(self) -> None:
        """Every process lets go of its trials."""
        self._attempts.clear()
        self._sizes.clear()
        self._begun.clear()


@dataclass
class Book:
    """Where every trial stands."""

    pending: Waiting
    tasks: dict[int, TrialTask] = field(default_factory=dict)
    running: Running = field(default_factory=Running)
    paused: set[int] = field(default_factory=set)
    retries: Retries = field(default_factory=Retries)
    losses: dict[int, int] = field(default_factory=dict)
    """How often each trial lost its node."""
    ends: dict[int, tuple[Outcome, float | None]] = field(default_factory=dict)
    groups: dict[str, list[int]] = field(default_factory=dict)
    """The trials of each group."""
    open_members: dict[str, int] = field(default_factory=dict)
    """How many trials of each group's search have not ended."""
    restarts_awaited: set[int] = field(default_factory=set)
    """Winners whose second training the service has not added yet."""
    searched: int = 0
    """How many trials of the search there are."""
    shelved: set[int] = field(default_factory=set)
    """Trials past the budget."""

    def untried(self) -> list[TrialTask]:
        """The trials that wait for their first attempt, by index."""
        waiting = self.tasks.keys() - self.running.keys() - self.ends.keys() - self.paused
        found = (self.tasks[index] for index in sorted(waiting))
        return [task for task in found if task.attempts == 0]

    def glance(self) -> Glance:
        """How much runs and waits."""
        begun = sum(attempt.started for attempt in self.running.values())
        return Glance(
            works=len(self.running.works),
            waiting=self.pending.works + len(self.retries),
            training=begun > 0,
            beginning=begun < len(self.running),
            retry_at=self.retries.next_due,
        )

    def forgive_loss(self, members: Sequence[int], *, most: int) -> bool:
        """Count that trials lost their node; whether each may lose one without blame."""
        for index in members:
            self.losses[index] = self.losses.get(index, 0) + 1
        return all(self.losses[index] <= most for index in members)


def outcome_of(task: TrialTask) -> Outcome:
    """How a trial that is final ended."""
    if task.state is TrialState.COMPLETED:
        return "target" if task.reason == "target" else "completed"
    if task.state is TrialState.DIVERGED:
        return "diverged"
    return "stopped" if task.state is TrialState.STOPPED else "dropped"


def entry_of(decision: Decision, now: datetime) -> RungEntry:
    """A decision as the service is told it."""
    return RungEntry(
        step=decision.step,
        trial=decision.trial,
        group=decision.group,
        value=decision.value,
        peers=decision.peers,
        cutoff=decision.cutoff,
        decision="continue" if decision.keep else "stop",
        time=now,
    )
