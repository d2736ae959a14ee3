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
import tomllib
import traceback
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import torch

from sweep.errors import FieldProblem, SpecError, SweepError
from sweep.exporting import metric_names, published_csv, trials_csv
from sweep.loading import load_yaml
from sweep.records import Usage
from sweep.rows import TrialRow, planned_row
from sweep.searches import ModelSearch
from sweep.space import MAX_TRIALS
from sweep.states import FINAL_TRIAL_STATES, TrialState, WantedState
from sweep.submission import Submission, read_submission
from sweep.trainables import ENTRY_POINT_GROUP, Trainable, registered
from sweep.wire import Ack, Assignment
from workers.driver.core import SweepCore
from workers.driver.limits import Meter
from workers.driver.packing import Waiting, packing_of
from workers.driver.running import LiveWork, RunningSweep
from workers.driver.work import start
from workers.ledger import Ledger
from workers.progress import Progress

if TYPE_CHECKING:
    from workers.driver.proposing import Proposing

SWEEP_ID = "local"
_UPDATE_EVERY_S = 1.0


@dataclass(frozen=True)
class Options:
    """How to run."""

    device: str = "cpu"
    threads: int = 1
    sample: float = 1.0
    """The share of the groups to run."""
    seed: int = 0
    """What the sample is drawn with."""


def run(submission: Submission, options: Options, progress: TextIO | None = None) -> Ledger:
    """Run a sweep to its end.

    Args:
        submission: the checked spec.
        options: how to run.
        progress: where to say how far it is; nowhere when not given.
    """
    spec, trainable = submission.spec, submission.trainable
    if options.sample < 1 and isinstance(spec.search, ModelSearch):
        raise SpecError(
            f"--sample is {options.sample}, but a search of type {spec.search.type} learns from "
            "all of its trials: leave it out"
        )
    created = datetime.now(UTC)
    chosen = _sampled([planned_row(t, spec, created) for t in submission.trials()], options)
    ledger = Ledger(SWEEP_ID, spec, {row.index: row for row in chosen})
    with (
        tempfile.TemporaryDirectory(prefix="sweep-local-") as folder,
        suppress(KeyboardInterrupt),  # what is done is worth having
    ):
        _run(_running(ledger, trainable, folder, options), ledger, options, progress)
    return ledger


def _run(sweep: RunningSweep, ledger: Ledger, options: Options, progress: TextIO | None) -> None:
    shown = None if progress is None else Progress(ledger, progress)
    proposing = _proposing(sweep, ledger)

    def take_in() -> None:
        ack = Ack(
            wanted=WantedState.RUN,
            max_concurrent=ledger.spec.max_concurrent,
            budget=ledger.spec.budget,
            trials=ledger.added(),
        )
        sweep.take(ack)

    while not sweep.done:
        plan = sweep.plan_next()
        if plan is None and proposing is not None and proposing.step():
            take_in()
            continue
        if plan is None:
            wait = sweep.retry_in
            if wait is None:
                raise RuntimeError("trials are left and none can go on")
            time.sleep(wait.total_seconds())
            continue
        live = LiveWork(plan)
        work = start(plan, device=options.device, node=SWEEP_ID, threads=options.threads)
        while live.members:
            try:
                work.answer(sweep.on_update(live, work.next_update(_UPDATE_EVERY_S)))
            except Exception:  # noqa: BLE001 - a user's code may raise anything
                sweep.on_failure(live, traceback.format_exc())
                break
            take_in()
            if shown is not None:
                shown.show()
        work.end()
        take_in()
    sweep.finish()
    if shown is not None:
        shown.show(last=True)


def _running(ledger: Ledger, trainable: Trainable, folder: str, options: Options) -> RunningSweep:
    spec = ledger.spec
    resources = spec.resources or trainable.default_resources

    def now() -> datetime:
        return datetime.now(UTC)

    core = SweepCore(
        spec,
        ledger.tasks(),
        (),
        max_concurrent=spec.max_concurrent,
        now=now(),
        waiting=Waiting(*packing_of(spec, trainable)),
        meter=Meter(Usage(), gpus=float(options.device.startswith("cuda")), now=now()),
    )
    assignment = Assignment(
        sweep_id=SWEEP_ID,
        epoch=1,
        spec=spec,
        code=trainable.code,
        resources=resources,
        reuse_actors=True,
        max_concurrent=spec.max_concurrent,
        lease_s=1,
        checkpoint_root=folder,
    )
    return RunningSweep(core, assignment, clock=now, emit=ledger.take)


def _proposing(sweep: RunningSweep, ledger: Ledger) -> "Proposing | None":
    """What keeps a model-based search going; None for other searches."""
    search = ledger.spec.search
    if not isinstance(search, ModelSearch):
        return None
    if search.warm_start is not None:
        raise SpecError(
            [FieldProblem("search.warm_start", "needs the service that has those sweeps: leave it")]
        )
    from workers.driver.proposing import Proposing  # loads Optuna, which others do not need

    return Proposing(sweep, ledger)


def _sampled(rows: list[TrialRow], options: Options) -> list[TrialRow]:
    """The trials of a random share of the groups."""
    groups = sorted({row.group for row in rows})
    if options.sample >= 1:
        return rows
    count = max(1, round(options.sample * len(groups)))
    kept = set(random.Random(options.seed).sample(groups, count))
    return [row for row in rows if row.group in kept]


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


def _known() -> dict[str, Trainable]:
    """The registered trainables; those of a checkout that is not installed, from its list."""
    known = registered()
    listing = Path(__file__).parents[1] / "pyproject.toml"
    if listing.exists():
        project = tomllib.loads(listing.read_text()).get("project", {})
        for name, code in project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {}).items():
            if name not in known:
                known[name] = EntryPoint(name, code, ENTRY_POINT_GROUP).load()
    return known


def _check(options: Options) -> None:
    """Refuse options that cannot be run.

    Raises:
        SpecError: naming the option.
    """
    if not 0 < options.sample <= 1:
        raise SpecError(f"--sample is {options.sample}: a share above 0, at most 1, is needed")
    if options.threads < 1:
        raise SpecError(f"--threads is {options.threads}: 1 or more are needed")
    try:
        torch.zeros(1, device=options.device).item()
    except (RuntimeError, AssertionError) as error:  # which of them, depends on PyTorch's build
        raise SpecError(
            f"--device is {options.device!r}, which PyTorch cannot use here: {error}"
        ) from error


def _check_output(layout: str, out: Path | None, trainable: Trainable) -> None:
    """Refuse, before anything is trained, what could not be written afterwards.

    Raises:
        SpecError: naming the option.
    """
    if layout == "published" and trainable.published is None:
        raise SpecError(
            f"--layout is 'published', but trainable {trainable.name!r} declares no published "
            "layout: use --layout trials"
        )
    if out is not None:
        try:
            out.open("a").close()
        except OSError as error:
            raise SpecError(f"--out is {out}, which cannot be written: {error}") from error


def _submission(path: Path) -> Submission:
    """The checked spec of a file.

    Raises:
        SpecError, SpecTooLarge: with every bad field.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpecError(f"the spec cannot be read: {error}") from error
    submission = read_submission(load_yaml(text), trainables=_known(), max_trials=MAX_TRIALS)
    if submission.spec.code is not None:
        message = "is kept by a service, and there is none here: leave it out, run in its folder"
        raise SpecError([FieldProblem("code", message)])
    return submission


def main() -> int:
    """Run; the exit code: 0, 1 when every trial failed, 2 for bad input, 130 when interrupted."""
    arguments = _arguments()
    options = Options(arguments.device, arguments.threads, arguments.sample, arguments.seed)
    try:
        _check(options)
        submission = _submission(arguments.spec)
        _check_output(arguments.layout, arguments.out, submission.trainable)
        ledger = run(submission, options, sys.stderr)
    except SweepError as error:
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
        print(f"the first failure: {failed[0].error}", file=sys.stderr)
    if ledger.reason is not None:
        print(ledger.reason, file=sys.stderr)
    if any(row.state not in FINAL_TRIAL_STATES for row in ledger.rows.values()):
        print("interrupted: the results are those until then", file=sys.stderr)
        return 130
    return 1 if len(failed) == len(ledger.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
