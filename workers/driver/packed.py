"""A pack's members as trials: their reports, rungs, saved states and ends.

No threads: the process that trains calls `next_update`, which trains for a while. A
member at a *boundary* (see `workers.driver.live`) is decided before it goes on: its end
is known here and it leaves at once; at a rung it is held until an answer says what it
does, while the others train on.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from sweep.entry import load_code
from sweep.errors import TrialFault
from sweep.run import ReportRules
from sweep.wire import ReportRow
from workers.driver.checkpoints import Checkpoints, Restored, for_each, in_turns
from workers.driver.live import (
    PackAnswer,
    TrialPlan,
    TrialUpdate,
    WorkPlan,
    WorkUpdate,
    boundary,
    error_text,
    report_row,
)
from workers.driver.plateau import Watch
from workers.driver.retries import NOT_RETRYABLE
from workers.fusion.block import Member
from workers.fusion.evaluation import Evaluation
from workers.fusion.faults import MemberFailed
from workers.fusion.pack import Pack
from workers.fusion.packable import Packable
from workers.fusion.state import MemberState


@dataclass
class _Trial:
    """A member as a trial."""

    plan: TrialPlan
    rules: ReportRules
    from_step: int
    checkpoints: Checkpoints
    rows: list[ReportRow] = field(default_factory=list)
    checkpoint: tuple[int, str] | None = None
    """The step of the state saved last and where it lies, until told."""
    held: bool = False
    """At a rung, until an answer lets it go on."""
    parked: bool = False
    """Held, with its state saved."""
    error: BaseException | None = None
    ended: bool = False
    watch: Watch | None = None
    untold: bool = True
    """Whether no update has named it since something happened to it."""

    def start_at(self, step: int) -> None:
        """It goes on after a step."""
        self.from_step, self.rules, self.watch = step, ReportRules(step), self.plan.watch()

    def fail(self, error: BaseException) -> None:
        """It ends with an error."""
        self.error, self.ended, self.untold = error, True, True


class PackRun:
    """The trials of one pack in one process.

    Args:
        plan: the trials that it starts with.
        device: where to train.
        node: this machine's name.
        threads: how many of the CPU's it may use.
    """

    def __init__(self, plan: WorkPlan, *, device: str, node: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._device = device
        self._node = node
        self._code = plan.members[0].code
        self._pack: Pack | None = None
        self._trials: dict[int, _Trial] = {}
        self._answer = PackAnswer(verdicts={}, joins=plan.members)
        self._returned: list[int] = []
        self._full = len(plan.members)

    def next_update(self, timeout: float) -> WorkUpdate:
        """Train for about `timeout` s, less when nothing can go on; what happened.

        Raises:
            Exception: when the members fail in a way for which none alone is to blame.
        """
        idle = False
        try:
            idle = self._train(until=time.monotonic() + timeout)
        except NOT_RETRYABLE as error:
            for trial in self._trials.values():
                trial.fail(error)
            self._pack = None
        return self._update(idle)

    def answer(self, answer: PackAnswer) -> None:
        """Take in what an update's trials do next; obeyed when the next update is asked for."""
        self._answer = answer

    def end(self) -> bool:
        """Nothing is left to end: a pack trains only while an update is asked for."""
        return True

    def _train(self, until: float) -> bool:
        """Train until a time; whether nothing could go on before."""
        answer, self._answer = self._answer, PackAnswer(verdicts={})
        for plan in answer.joins:  # so that whatever happens next is told of them too
            self._trials[plan.task.index] = _trial(plan, plan.task.checkpoint_step)
        pack = self._pack
        if pack is None:
            pack = self._pack = Pack(_packable(self._code), device=self._device)
        self._obey(pack, answer)
        self._admit(pack, answer.joins)
        while True:
            held = frozenset(index for index, trial in self._trials.items() if trial.held)
            try:
                evaluations = pack.advance(held)
            except MemberFailed as failure:
                self._fail(pack, failure)
                continue
            if not evaluations:
                return True
            self._save(pack, [e.key for e in evaluations if self._record(e) and e.saves])
            ended = [e.key for e in evaluations if self._trials[e.key].ended]
            pack.drop(ended)
            self._tidy(ended)
            if time.monotonic() >= until:
                return False

    def _obey(self, pack: Pack, answer: PackAnswer) -> None:
        """Do what the last answer says of trials that are here."""
        stopped = [index for index, verdict in answer.verdicts.items() if verdict == "stop"]
        pack.drop(stopped)
        self._tidy(index for index in stopped if index in self._trials)
        joins = {plan.task.index for plan in answer.joins}  # one that was stopped may be back
        for index in set(stopped) - joins:
            self._trials.pop(index, None)
        here = {i: v for i, v in answer.verdicts.items() if i in self._trials and i not in joins}
        for index in (i for i, verdict in here.items() if verdict == "go"):
            self._trials[index].held = self._trials[index].parked = False
        saved = [i for i, verdict in here.items() if verdict == "save"]
        self._save(pack, saved)
        for index in saved:
            self._trials[index].held = self._trials[index].parked = True

    def _admit(self, pack: Pack, plans: Sequence[TrialPlan]) -> None:
        """Take trials in, as many as there is room for."""
        described: list[tuple[Member, MemberState | None]] = []
        for plan, state in zip(plans, self._restore(plans), strict=True):
            try:
                described.append((_member_of(pack, plan), state))
            except MemberFailed as failure:
                self._fail(pack, failure)
        while described:
            try:
                room = pack.room_for(described[0][0])
                self._turn_away(member.key for member, _ in described[room:])
                described = described[:room]
                pack.add([member for member, _ in described], [state for _, state in described])
                return
            except MemberFailed as failure:
                self._fail(pack, failure)
            inside = pack.keys
            described = [
                (member, state)
                for member, state in described
                if member.key not in inside and not self._trials[member.key].ended
            ]

    def _restore(self, plans: Sequence[TrialPlan]) -> list[MemberState | None]:
        """Where each of the trials goes on from; None at its beginning."""

        def restored(plan: TrialPlan) -> Restored | None:
            task, states = plan.task, self._trials[plan.task.index].checkpoints
            if task.checkpoint is None:
                return None
            return states.restore(task.checkpoint, task.checkpoint_step)

        found = for_each(restored, plans)
        for plan, state in zip(plans, found, strict=True):
            trial = self._trials[plan.task.index]
            trial.start_at(0 if state is None else state.step)
            if state is not None and state.uri != plan.task.checkpoint:
                trial.checkpoint = (state.step, state.uri)
        return [None if s is None else MemberState.from_dict(s.state) for s in found]

    def _turn_away(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            del self._trials[index]
            self._returned.append(index)

    def _record(self, evaluation: Evaluation) -> bool:
        """Take a report in; whether its trial may go on."""
        trial = self._trials[evaluation.key]
        if evaluation.error is not None:
            trial.fail(evaluation.error)
            return False
        rung = trial.plan.rung_after(trial.rules.last_step)
        values = trial.rules.accept(evaluation.step, evaluation.metrics)
        trial.rows.append(report_row(evaluation.step, values))
        trial.checkpoints.observe(values)
        trial.untold = True
        reached = boundary(trial.plan, rung, evaluation.step, values, watch=trial.watch)
        trial.ended = reached == "end"
        trial.held = reached in ("rung", "plateau")
        return not trial.ended

    def _save(self, pack: Pack, indexes: Sequence[int]) -> None:
        def save(part: tuple[_Trial, MemberState]) -> None:
            trial, state = part
            uri = trial.checkpoints.save(state.step, state.to_dict())
            trial.checkpoint = (state.step, uri)
            trial.untold = True

        for some in in_turns(indexes):
            for_each(save, [(self._trials[index], pack.state(index)) for index in some])

    def _tidy(self, indexes: Iterable[int]) -> None:
        for_each(Checkpoints.tidy, [self._trials[index].checkpoints for index in indexes])

    def _fail(self, pack: Pack, failure: MemberFailed) -> None:
        self._trials[failure.key].fail(failure.error)
        pack.drop([failure.key])

    def _update(self, idle: bool) -> WorkUpdate:
        told: list[tuple[int, TrialUpdate]] = []
        for index, trial in self._trials.items():
            at_rung = trial.held and idle and not trial.parked
            if trial.untold or at_rung:
                told.append((index, self._told(trial, at_rung)))
        self._trials = {i: t for i, t in self._trials.items() if not t.ended}
        returned, self._returned = tuple(self._returned), []
        return WorkUpdate(
            trials=tuple(told),
            room=0 if returned else self._room(),
            capacity=None if self._pack is None else self._pack.capacity,
            returned=returned,
        )

    def _told(self, trial: _Trial, at_rung: bool) -> TrialUpdate:
        update = TrialUpdate(
            node=self._node,
            from_step=trial.from_step,
            rows=tuple(trial.rows),
            checkpoint=trial.checkpoint,
            best_checkpoint=trial.checkpoints.best,
            at_rung=at_rung,
            parked=trial.parked,
            error=None if trial.error is None else error_text(trial.error),
            retryable=not isinstance(trial.error, NOT_RETRYABLE),
        )
        trial.rows, trial.checkpoint, trial.untold = [], None, False
        return update

    def _room(self) -> int:
        """How many trials may join: none while more than half of the pack is left."""
        if self._pack is None or self._pack.capacity is None:
            return 0
        live = len(self._trials)
        full = min(max(self._full, self._pack.block_size), self._pack.capacity)
        return full - live if live < full / 2 else 0


def _trial(plan: TrialPlan, step: int) -> _Trial:
    trial = _Trial(plan, ReportRules(), 0, plan.checkpoints())
    trial.start_at(step)
    return trial


def _member_of(pack: Pack, plan: TrialPlan) -> Member:
    task = plan.task
    return pack.member(task.index, task.parameters, task.seed, max_t=task.max_t)


def _packable(code: str) -> Packable:
    packable = load_code(code)
    if not isinstance(packable, Packable):
        raise TrialFault(
            f"{code!r} cannot be packed: it is no workers.fusion.Packable but a "
            f"{type(packable).__name__}. Make it one, or set pack: off"
        )
    return packable
