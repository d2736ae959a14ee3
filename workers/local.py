"""`python -m workers.local SPEC`: a whole sweep in this process, with no Ray and no service.

For a laptop, a notebook, or a GPU machine on which only PyTorch, NumPy, pydantic and
PyYAML are installed. The same spec, groups, rungs, packs and restarts as on a cluster,
decided by the same code; one pack after the other, and the results as CSV.
"""

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import torch

from sweep.applying import apply, trials_named
from sweep.errors import SpecError, SweepError
from sweep.exporting import metric_names, published_csv, trials_csv
from sweep.loading import load_yaml
from sweep.records import Origin, TrialRecord
from sweep.rows import TrialRow, planned_row, to_record, to_task
from sweep.space import MAX_TRIALS
from sweep.spec import Halving, SweepSpec
from sweep.states import FINAL_TRIAL_STATES, TrialState, WantedState
from sweep.submission import Submission, read_submission
from sweep.trainables import Trainable, registered
from sweep.wire import Ack, Assignment, Batch, Message, ReportRow, TrialTask
from workers.driver.core import SweepCore
from workers.driver.packing import Waiting, packing_of
from workers.driver.running import LiveWork, RunningSweep
from workers.driver.work import start
from workers.trainables.arithmetic import ARITHMETIC
from workers.trainables.noop import NOOP

SWEEP_ID = "local"
_UPDATE_EVERY_S = 1.0
_SHOW_EVERY_S = 2.0


@dataclass(frozen=True)
class Options:
    """How to run."""

    device: str = "cpu"
    threads: int = 1
    sample: float = 1.0
    """The share of the groups to run."""
    seed: int = 0
    """What the sample is drawn with."""


class Ledger:
    """The trials of a sweep in memory, changed by the driver's messages as SQL would be."""

    def __init__(self, spec: SweepSpec, rows: Mapping[int, TrialRow]) -> None:
        self.spec = spec
        self.rows = dict(rows)
        self.steps = 0
        """The trial-steps that were reported."""
        self._reports: dict[int, list[ReportRow]] = {}
        """Those of trials that may still go on from an earlier state."""
        self._next_index = max(self.rows) + 1
        self._restarted: set[int] = set()
        self._added: list[TrialRow] = []

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages in."""
        batch = Batch.model_construct(messages=tuple(messages), known_trials=0)
        named = trials_named(batch)
        before = sum(self.rows[index].step or 0 for index in named)
        changes = apply(
            batch,
            {index: self.rows[index] for index in named},
            spec=self.spec,
            next_index=self._next_index,
            restarted=frozenset(self._restarted),
            reports_up_to=self._reports_up_to,
        )
        for index, report in changes.reports:
            self._reports.setdefault(index, []).append(report)
        for index in named:
            if self.rows[index].state in FINAL_TRIAL_STATES:
                self._reports.pop(index, None)
        self.steps += sum(self.rows[index].step or 0 for index in named) - before
        for row in changes.added:
            self.rows[row.index] = row
            self._next_index = row.index + 1
            self._restarted.add(row.parent if row.parent is not None else -1)
        self._added += changes.added

    def _reports_up_to(self, index: int, step: int) -> list[ReportRow]:
        kept = [report for report in self._reports.get(index, ()) if report.step <= step]
        self._reports[index] = kept
        return list(kept)

    def added(self) -> tuple[TrialTask, ...]:
        """The trials that were added since the last call."""
        added, self._added = self._added, []
        return tuple(to_task(row, SWEEP_ID) for row in added)

    def records(self) -> Iterator[TrialRecord]:
        """Every trial."""
        return (to_record(row, SWEEP_ID) for row in self.rows.values())


class Progress:
    """What is done and how long it takes, a line every few seconds."""

    def __init__(self, ledger: Ledger, file: TextIO) -> None:
        self._ledger = ledger
        self._file = file
        self._began = self._shown = time.monotonic()

    def show(self, *, last: bool = False) -> None:
        """Print a line, when the last one is long enough ago: the more so, the longer it takes."""
        now = time.monotonic()
        if not last and now - self._shown < max(_SHOW_EVERY_S, (now - self._began) / 30):
            return
        self._shown = now
        rows = self._ledger.rows.values()
        ended = sum(row.state in FINAL_TRIAL_STATES for row in rows)
        took = now - self._began
        rate = self._ledger.steps / took if took else 0.0
        text = f"{ended:,} of {len(rows):,} trials ended; {self._ledger.steps:,} trial-steps"
        at_most = self._steps_left()
        if rate and not last and at_most is not None:
            text += f"; at most {_duration(at_most / rate)} left"
        print(f"{text}; {rate:,.0f} a second; {_duration(took)}", file=self._file, flush=True)

    def _steps_left(self) -> int | None:
        rows = self._ledger.rows.values()
        if any(row.max_t is None for row in rows):
            return None
        left = sum(
            (row.max_t or 0) - (row.step or 0)
            for row in rows
            if row.state not in FINAL_TRIAL_STATES
        )
        rule = self._ledger.spec.early_stopping
        if isinstance(rule, Halving) and rule.restart_winner is not None:
            groups = {row.group for row in rows}
            restarts = sum(row.origin is Origin.RESTART for row in rows)
            left += (len(groups) - restarts) * rule.restart_winner.max_t
        return left


def run(submission: Submission, options: Options, progress: TextIO | None = None) -> Ledger:
    """Run a sweep to its end.

    Args:
        submission: the checked spec.
        options: how to run.
        progress: where to say how far it is; nowhere when not given.
    """
    spec, trainable = submission.spec, submission.trainable
    created = datetime.now(UTC)
    chosen = _sampled([planned_row(t, spec, created) for t in submission.trials()], options)
    ledger = Ledger(spec, {row.index: row for row in chosen})
    with (
        tempfile.TemporaryDirectory(prefix="sweep-local-") as folder,
        suppress(KeyboardInterrupt),  # what is done is worth having
    ):
        _run(_running(ledger, trainable, folder), ledger, options, progress)
    return ledger


def _run(sweep: RunningSweep, ledger: Ledger, options: Options, progress: TextIO | None) -> None:
    shown = None if progress is None else Progress(ledger, progress)
    while not sweep.done:
        plan = sweep.plan_next()
        if plan is None:
            raise RuntimeError("trials are left and none can go on")
        live = LiveWork(plan)
        work = start(plan, device=options.device, node=SWEEP_ID, threads=options.threads)
        while live.members:
            try:
                work.answer(sweep.on_update(live, work.next_update(_UPDATE_EVERY_S)))
            except Exception:  # noqa: BLE001 - a user's code may raise anything
                sweep.on_failure(live, traceback.format_exc())
                break
            sweep.take(Ack(wanted=WantedState.RUN, trials=ledger.added()))
            if shown is not None:
                shown.show()
        work.end()
        sweep.take(Ack(wanted=WantedState.RUN, trials=ledger.added()))
    sweep.finish()
    if shown is not None:
        shown.show(last=True)


def _running(ledger: Ledger, trainable: Trainable, folder: str) -> RunningSweep:
    spec = ledger.spec
    resources = spec.resources or trainable.default_resources

    def now() -> datetime:
        return datetime.now(UTC)

    core = SweepCore(
        spec,
        [to_task(row, SWEEP_ID) for row in ledger.rows.values()],
        (),
        max_concurrent=spec.max_concurrent,
        now=now(),
        waiting=Waiting(*packing_of(spec, trainable)),
    )
    assignment = Assignment(
        sweep_id=SWEEP_ID,
        epoch=1,
        spec=spec,
        code=trainable.code,
        cpu=resources.cpu,
        gpu=resources.gpu,
        reuse_actors=True,
        max_concurrent=spec.max_concurrent,
        lease_s=1,
        checkpoint_root=folder,
    )
    return RunningSweep(core, assignment, clock=now, emit=ledger.take)


def _sampled(rows: list[TrialRow], options: Options) -> list[TrialRow]:
    """The trials of a random share of the groups."""
    groups = sorted({row.group for row in rows})
    if options.sample >= 1:
        return rows
    count = max(1, round(options.sample * len(groups)))
    kept = set(random.Random(options.seed).sample(groups, count))
    return [row for row in rows if row.group in kept]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _write(ledger: Ledger, trainable: Trainable, layout: str, file: TextIO) -> None:
    spec = ledger.spec
    if layout == "published":
        lines = published_csv(trainable, spec.metric, ledger.records())
    else:
        names = metric_names(spec, trainable, ledger.records)
        lines = trials_csv(spec, names, ledger.records())
    file.writelines(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m workers.local",
        description="Run a sweep in this process, packed, with no Ray and no service.",
    )
    parser.add_argument("spec", type=Path, help="the spec, YAML or JSON")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where to train, in PyTorch's words (here: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="write the results there as CSV")
    parser.add_argument("--layout", choices=("trials", "published"), default="trials")
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="of the CPU (%(default)s)"
    )
    parser.add_argument(
        "--sample", type=float, default=1.0, help="run this share of the groups, drawn at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="what the sample is drawn with")
    return parser.parse_args()


def main() -> int:
    """Run; the exit code: 0, 1 when every trial failed, 2 for bad input, 130 when interrupted."""
    arguments = _arguments()
    known = {t.name: t for t in (ARITHMETIC, NOOP)} | registered()
    options = Options(arguments.device, arguments.threads, arguments.sample, arguments.seed)
    try:
        if not 0 < options.sample <= 1:
            raise SpecError(f"--sample is {options.sample}: a share above 0, at most 1, is needed")
        torch.zeros(1, device=options.device)
        raw = load_yaml(arguments.spec.read_bytes())
        submission = read_submission(raw, trainables=known, max_trials=MAX_TRIALS)
        ledger = run(submission, options, sys.stderr)
    except (SweepError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    trainable = submission.trainable
    if arguments.out is None:
        _write(ledger, trainable, arguments.layout, sys.stdout)
    else:
        with arguments.out.open("w", newline="") as file:
            _write(ledger, trainable, arguments.layout, file)
        print(f"wrote {arguments.out}", file=sys.stderr)
    failed = [row for row in ledger.rows.values() if row.state is TrialState.FAILED]
    if failed:
        print(f"{len(failed)} trials failed; the first: {failed[0].error}", file=sys.stderr)
    if any(row.state not in FINAL_TRIAL_STATES for row in ledger.rows.values()):
        print("interrupted: the results are those until then", file=sys.stderr)
        return 130
    return 1 if len(failed) == len(ledger.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
