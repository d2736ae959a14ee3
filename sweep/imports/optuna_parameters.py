"""The parameters of an Optuna study: what its distributions mean here, and which values fit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.imports.reading import Notes
from sweep.parameters import Kind

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def distributions(trials: Iterable["FrozenTrial"]) -> dict[str, list["BaseDistribution"]]:
    """Every parameter's distributions, in the order in which trials first had them."""
    found: dict[str, list[BaseDistribution]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            found.setdefault(name, []).append(distribution)
    return found


def joined(
    found: Sequence["BaseDistribution"], trials: int, path: str, notes: Notes
) -> dict[str, Any]:
    """The kind that has all values of a parameter's distributions.

    Args:
        found: the distribution of each trial that has the parameter.
        trials: how many trials there are.
        path: where it stands in the study.
        notes: takes the warnings.
    """
    if len(found) < trials:
        notes.warn(
            path,
            f"was suggested in {len(found)} of {trials} finished trials, and is in every trial "
            "here: say when it is asked for with `when`",
        )
    last: Any = found[-1]
    alike: list[Any] = [d for d in found if type(d) is type(last)]
    if hasattr(last, "choices"):
        kind: dict[str, Any] = {"choice": list(last.choices)}
        taken = "the last one is taken here"
    else:
        kind, taken = _range(alike)
    if any(d != last for d in found):
        notes.warn(path, f"its distribution changed between trials: {taken}")
    return kind


def _range(found: Sequence[Any]) -> tuple[dict[str, Any], str]:
    """The kind with the values of all, and in what it is wider than each."""
    low, high = min(d.low for d in found), max(d.high for d in found)
    whole, taken = isinstance(low, int), "the widest range is taken here"
    ends: dict[str, Any] = {"min": low, "max": high}
    if all(d.log for d in found):
        return {"lograndint" if whole else "loguniform": ends}, taken
    if any(d.log for d in found):
        taken += ", not logarithmic"
    step = found[-1].step
    if any(d.step != step or not _is_steps(d.low - low, step) for d in found):
        step, taken = None, f"{taken}, without steps"
    if step is None or (whole and step == 1):
        return {"randint" if whole else "uniform": ends}, taken
    return {"qrandint" if whole else "quniform": {**ends, "step": step}}, taken


def _is_steps(distance: float, step: float | None) -> bool:
    return step is None or abs(round(distance / step) * step - distance) <= step * 1e-9


def accepted(point: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any] | None:
    """The values as those of the kinds; None where one of them is no such value."""
    try:
        return {name: kinds[name].accept(value) for name, value in point.items()}
    except ValueError:
        return None
