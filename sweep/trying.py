"""One trial in this process, with no service: what `sweep run` does.

The same code, parameters and rules as in a sweep: steps ascend, a value that is not finite
ends the trial, and so do `max_t` and the metric's target.
"""

import inspect
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.assembling import Assembler
from sweep.entry import Train, load_code, script
from sweep.errors import FieldProblem, SpecError
from sweep.expressions import ConditionEvaluator
from sweep.metric import Metric
from sweep.parameters import Kind, Node, Value, When, unwrap
from sweep.plain import has
from sweep.run import NullRun, TrialStop
from sweep.space import Space, lookup, unit
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

    Its conditions decide anew what there is then; what is there only now is drawn.

    Args:
        spec: the spec.
        given: values by dotted path; they need not be of the parameters' kinds.

    Raises:
        SpecError: for what is no parameter, is absent with these, or is excluded.
    """
    first = next(iter(Space(spec).trials()))
    nodes = spec.parameters
    for name, value in given.items():
        nodes = _fixed(nodes, name.split("."), value, name)

    def choose(path: tuple[str, ...], kind: Kind) -> Value:
        if has(first.parameters, path):
            there: Value = lookup(first.parameters, ".".join(path))
            return there
        return kind.sample(unit(spec.search.seed, "tried", *path))

    parameters = Assembler(nodes)(choose)
    for name in given:
        if not has(parameters, name.split(".")):
            raise _bad(name, "is absent: its `when` does not hold with these")
    condition = ConditionEvaluator(spec.exclude, spec.parameters).first_true(parameters)
    if condition is not None:
        raise SpecError([FieldProblem("exclude", f"leaves this out: {condition}")])
    return Attempt(
        trainable=spec.trainable,
        parameters=parameters,
        seed=first.seed,
        max_t=spec.early_stopping.max_t,
        metric=spec.metric,
    )


def _fixed(
    nodes: Mapping[str, Node], parts: Sequence[str], value: Any, name: str
) -> Mapping[str, Node]:
    """The parameters, the one at a path fixed; the conditions on it stay."""
    part, *below = parts
    if part not in nodes:
        raise _bad(name, f"is no parameter of the spec: there are {', '.join(sorted(nodes))}")
    inner: Any = unwrap(nodes[part])
    if not below:
        fixed: Any = value
    elif isinstance(inner, Mapping):
        fixed = _fixed(inner, below, value, name)
    else:
        raise _bad(name, "leads through what has no parameters of its own")
    return {**nodes, part: _within(nodes[part], fixed)}


def _within(node: Any, fixed: Any) -> Any:
    """What is fixed, under the conditions of the node that it stands for."""
    return When(node.condition, _within(node.node, fixed)) if isinstance(node, When) else fixed


def nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of values by dotted path.

    Raises:
        SpecError: when a part of a path is a value.
    """
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        *above, last = name.split(".")
        at: Any = parameters
        for part in above:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise _bad(name, "leads through what has no parameters of its own")
        at[last] = value
    return parameters


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


def _bad(path: str, message: str) -> SpecError:
    return SpecError([FieldProblem(f"parameters.{path}", message)])


def _bad_trainable(message: str) -> SpecError:
    return SpecError([FieldProblem("trainable", message)])
