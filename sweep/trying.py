"""One trial in this process, with no service: what `sweep run` does.

The same code, parameters and rules as in a sweep: steps ascend, a value that is not finite
ends the trial, and so do `max_t` and the metric's target.
"""

import inspect
import math
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.entry import Train, load_code, script
from sweep.errors import FieldProblem, SpecError
from sweep.metric import Metric
from sweep.run import NullRun, TrialStop
from sweep.space import Space
from sweep.spec import SweepSpec
from sweep.states import TrialState
from sweep.trainables import Trainable, check_parameters, find, registered

Tell = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Attempt:
    """A trial to try."""

    trainable: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    max_t: int | None = None
    device: str = "cpu"
    metric: Metric | None = None
    """Whose target ends the trial, and by which the best report is known."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: TrialState
    reason: str
    error: str | None = None
    """The traceback, from the user's code on."""
    hint: str | None = None
    """What may help."""


class TriedRun(NullRun):
    """A run that tells of its reports, and stops at a metric's target too."""

    def __init__(self, attempt: Attempt, tell: Tell) -> None:
        super().__init__(seed=attempt.seed, device=attempt.device, max_t=attempt.max_t)
        self._metric = attempt.metric
        self._tell = tell

    def report(self, step: int, **metrics: float) -> None:
        """See `sweep.run.Run`."""
        before = len(self.reports)
        try:
            super().report(step, **metrics)
        finally:
            for told, values in self.reports[before:]:
                self._tell(told, values)
        metric, values = self._metric, self.reports[-1][1]
        if metric and metric.name in values and metric.reaches_target(values[metric.name]):
            raise TrialStop("reached the target")

    @property
    def diverged(self) -> bool:
        """Whether the last report has a value that is not finite."""
        return bool(self.reports) and not all(map(math.isfinite, self.reports[-1][1].values()))


def of_spec(spec: SweepSpec, given: Mapping[str, Any]) -> Attempt:
    """The first trial of a spec, some of its parameters replaced.

    Args:
        spec: the spec.
        given: values by dotted path.

    Raises:
        SpecError: for a parameter that the trial does not have.
    """
    trial = next(iter(Space(spec).trials()), None)
    parameters = {} if trial is None else _copied(trial.parameters)
    for path, value in given.items():
        put(parameters, path, value, new=trial is None)
    return Attempt(
        trainable=spec.trainable,
        parameters=parameters,
        seed=0 if trial is None else trial.seed,
        max_t=spec.early_stopping.max_t,
        metric=spec.metric,
    )


def put(parameters: dict[str, Any], path: str, value: Any, *, new: bool) -> None:
    """Set the parameter at a dotted path.

    Raises:
        SpecError: when there is none and none may be made, or a part of the path is a value.
    """
    *above, last = path.split(".")
    at: Any = parameters
    for part in above:
        at = at.setdefault(part, {}) if new else at.get(part)
        if not isinstance(at, dict):
            raise _bad(path, "leads through what has no parameters of its own")
    if not new and last not in at:
        raise _bad(path, f"is no parameter of the spec: there are {', '.join(sorted(at))}")
    at[last] = value


def prepare(attempt: Attempt) -> Train:
    """What trains, its parameters checked.

    Raises:
        SpecError: when there is no such function or script, it cannot be imported, it does
            not take (params, run), or the parameters do not fit.
    """
    name = attempt.trainable
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise _bad_trainable(f"there is no script {name!r}")
        return script(Path(name).absolute())
    trainable = find(name, {} if ":" in name else registered())
    check_parameters(attempt.parameters, trainable)
    if trainable.needs_max_t and attempt.max_t is None:
        raise SpecError(f"trainable {name!r} trains until it is told to stop: give --max-t")
    return _function(trainable)


def _function(trainable: Trainable) -> Train:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        train = load_code(trainable.code)
    except (ImportError, SyntaxError) as error:
        raise _bad_trainable(f"cannot be imported: {type(error).__name__}: {error}") from error
    try:
        inspect.signature(train).bind({}, None)
    except TypeError as error:
        raise _bad_trainable(f"must be a function of (params, run): {error}") from None
    except ValueError:  # one that does not tell, such as one of C
        pass
    return train


def run(train: Train, attempt: Attempt, tried: TriedRun) -> Outcome:
    """Train to the end."""
    try:
        train(dict(attempt.parameters), tried)
    except TrialStop as stop:
        if tried.diverged:
            return Outcome(TrialState.DIVERGED, str(stop))
        return Outcome(TrialState.COMPLETED, str(stop))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code may raise anything
        reason = f"{type(error).__name__}: {error}"
        return Outcome(TrialState.FAILED, reason, _trace(error), _hint(error, attempt.parameters))
    return Outcome(TrialState.COMPLETED, "finished")


def _trace(error: BaseException) -> str:
    """The traceback without the frames of this package and of what runs scripts."""
    ours = Path(__file__).parent
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        file = frame.tb_frame.f_code.co_filename
        if Path(file).parent != ours and "runpy" not in file:
            break
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


def _hint(error: BaseException, parameters: Mapping[str, Any]) -> str | None:
    name = error.args[0] if isinstance(error, KeyError) and error.args else None
    if not isinstance(name, str) or name in parameters:
        return None
    given = ", ".join(sorted(parameters)) or "none"
    return f"parameters given: {given}; if {name!r} is one too, add -p {name}=VALUE"


def _copied(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _copied(value) if isinstance(value, Mapping) else value
        for name, value in parameters.items()
    }


def _bad(path: str, message: str) -> SpecError:
    return SpecError([FieldProblem(f"parameters.{path}", message)])


def _bad_trainable(message: str) -> SpecError:
    return SpecError([FieldProblem("trainable", message)])
