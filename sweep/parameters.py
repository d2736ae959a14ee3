"""The kinds of parameter that a sweep spec may name.

A parameter is a constant (any scalar or list), a *kind* (a mapping with one key
that names it, such as `{uniform: {min: 0, max: 1}}`), or a mapping of further
parameters. `sample` maps a number of the unit interval to a value of the kind,
so that random and quasi-random search share one definition.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sweep.errors import FieldProblem, SpecError

Scalar = bool | int | float | str | None
Value = Scalar | Sequence["Value"] | Mapping[str, "Value"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LAST_UNIT = math.nextafter(1.0, 0.0)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _pick(count: int, unit: float) -> int:
    """An index of `count` equally likely ones for a unit-interval number."""
    return min(int(unit * count), count - 1)


class Grid(_Model):
    """Every value in turn."""

    kind: Literal["grid"] = "grid"
    values: tuple[Any, ...] = Field(min_length=1)

    def sample(self, unit: float) -> Value:
        """The value at position `unit` in [0, 1) of the list."""
        chosen: Value = self.values[_pick(len(self.values), unit)]
        return chosen


class Choice(_Model):
    """One of the values, by weight (equal when none are given)."""

    kind: Literal["choice"] = "choice"
    values: tuple[Any, ...] = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights is None:
            return self
        if len(self.weights) != len(self.values):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.values)} values: give one for each"
            )
        if not sum(self.weights) > 0:
            raise ValueError("the weights sum to 0: at least one must be above 0")
        return self

    def sample(self, unit: float) -> Value:
        """The value whose share of the unit interval holds `unit`."""
        if self.weights is None:
            chosen: Value = self.values[_pick(len(self.values), unit)]
            return chosen
        target, passed = unit * sum(self.weights), 0.0
        for value, weight in zip(self.values, self.weights, strict=True):
            passed += weight
            if target < passed:
                return value  # type: ignore[no-any-return]
        last = max(i for i, weight in enumerate(self.weights) if weight > 0)
        chosen = self.values[last]
        return chosen


class _FloatRange(_Model):
    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min!r} is above max {self.max!r}")
        return self

    def _clamp(self, value: float) -> float:
        return min(max(value, self.min), self.max)


class _IntRange(_Model):
    min: int = Field(strict=True)
    max: int = Field(strict=True)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min!r} is above max {self.max!r}")
        return self


class Uniform(_FloatRange):
    """A real number, uniform between min and max."""

    kind: Literal["uniform"] = "uniform"

    def sample(self, unit: float) -> float:
        """Min + unit (max - min)."""
        return self._clamp(self.min + unit * (self.max - self.min))


class LogUniform(_FloatRange):
    """A positive real number whose logarithm is uniform between those of min and max."""

    kind: Literal["loguniform"] = "loguniform"
    min: float = Field(gt=0)
    max: float = Field(gt=0)

    def sample(self, unit: float) -> float:
        """Min (max / min) ** unit, by way of logarithms."""
        low, high = math.log(self.min), math.log(self.max)
        return self._clamp(math.exp(low + unit * (high - low)))


class QUniform(_FloatRange):
    """One of min, min + step, min + 2 step, … up to max, equally likely."""

    kind: Literal["quniform"] = "quniform"
    step: float = Field(gt=0)

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if not math.isfinite((self.max - self.min) / self.step):
            raise ValueError(f"step {self.step!r} is too small for the range")
        return self

    def sample(self, unit: float) -> float:
        """The quantised value at `unit`."""
        count = math.floor((self.max - self.min) / self.step * (1 + 1e-12) + 1e-12) + 1
        return self._clamp(self.min + _pick(count, unit) * self.step)


class RandInt(_IntRange):
    """An integer from min to max, both included, equally likely."""

    kind: Literal["randint"] = "randint"

    def sample(self, unit: float) -> int:
        """The integer at `unit`."""
        return self.min + _pick(self.max - self.min + 1, unit)


class LogRandInt(_IntRange):
    """An integer from min to max, both included, uniform on a logarithmic scale."""

    kind: Literal["lograndint"] = "lograndint"
    min: int = Field(ge=1, strict=True)

    def sample(self, unit: float) -> int:
        """Floor of a log-uniform number in [min, max + 1)."""
        low, high = math.log(self.min), math.log(self.max + 1)
        return min(max(math.floor(math.exp(low + unit * (high - low))), self.min), self.max)


class Normal(_Model):
    """A normally distributed real number."""

    kind: Literal["normal"] = "normal"
    mean: float
    std: float = Field(gt=0)

    def sample(self, unit: float) -> float:
        """The quantile of `unit`; the interval's ends count as the nearest number inside."""
        return NormalDist(self.mean, self.std).inv_cdf(
            min(max(unit, sys.float_info.min), _LAST_UNIT)
        )


Kind = Grid | Choice | Uniform | LogUniform | QUniform | RandInt | LogRandInt | Normal

KINDS: Mapping[str, type[Kind]] = {
    "grid": Grid,
    "choice": Choice,
    "uniform": Uniform,
    "loguniform": LogUniform,
    "quniform": QUniform,
    "randint": RandInt,
    "lograndint": LogRandInt,
    "normal": Normal,
}

Node = Kind | Value | Mapping[str, "Node"]


def parse_node(raw: object, path: str) -> Node:
    """Read one parameter of a spec, which must be plain data (see `sweep.plain`).

    Raises:
        SpecError: with the path of every bad field in it.
    """
    if isinstance(raw, Kind):
        return raw
    if isinstance(raw, Mapping):
        named = [key for key in raw if key in KINDS]
        if named:
            return _parse_kind(named, raw, path)
        return parse_nodes(raw, path)
    return raw  # type: ignore[return-value]  # `check_plain` has seen it


def parse_nodes(raw: Mapping[Any, object], path: str) -> dict[str, Node]:
    """Read a mapping of parameters, as `parse_node` reads one."""
    nodes: dict[str, Node] = {}
    problems: list[FieldProblem] = []
    for key, value in raw.items():
        where = f"{path}.{key}"
        if not isinstance(key, str) or not _NAME.fullmatch(key):
            problems.append(
                FieldProblem(
                    where,
                    f"parameter name {key!r} is not allowed: "
                    "use letters, digits and _, not starting with a digit",
                )
            )
            continue
        try:
            nodes[key] = parse_node(value, where)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return nodes


def _parse_kind(named: Sequence[str], raw: Mapping[Any, object], path: str) -> Kind:
    name = named[0]
    if len(raw) > 1:
        others = ", ".join(repr(key) for key in raw if key != name)
        raise SpecError(
            [FieldProblem(path, f"{name!r} must stand alone in its mapping; found also {others}")]
        )
    body = raw[name]
    where = f"{path}.{name}"
    if name in ("grid", "choice") and isinstance(body, Sequence) and not isinstance(body, str):
        body = {"values": body}
    if not isinstance(body, Mapping):
        fields = ", ".join(f for f in KINDS[name].model_fields if f != "kind")
        raise SpecError([FieldProblem(where, f"needs a mapping with {fields}; got {body!r:.100}")])
    values = body.get("values")
    if isinstance(values, Sequence) and not values:
        raise SpecError([FieldProblem(where, f"a {name} needs at least one value; got none")])
    try:
        return KINDS[name].model_validate({**body, "kind": name})
    except ValidationError as error:
        raise SpecError(field_problems(error, where)) from None


def field_problems(
    error: ValidationError, prefix: str = "", raw: object = None
) -> list[FieldProblem]:
    """Pydantic's findings as field problems.

    Args:
        error: what pydantic found.
        prefix: put before each path.
        raw: what was validated. The names that pydantic puts into a path for the
            members of a union are left out when they are no keys of it.
    """
    problems = []
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], prefix, raw)
        message = detail["msg"].removeprefix("Value error, ")
        given = detail.get("input")
        if isinstance(given, bool | int | float | str) and repr(given) not in message:
            message = f"{message}; got {given!r:.100}"
        problems.append(FieldProblem(path, message))
    return problems


def _path(location: Sequence[int | str], prefix: str, raw: object) -> str:
    path, here = prefix, raw
    for i, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            here = here[part] if isinstance(here, list | tuple) and part < len(here) else None
        elif isinstance(here, Mapping) and part not in here and i + 1 < len(location):
            continue
        else:
            path += f".{part}" if path else part
            here = here.get(part) if isinstance(here, Mapping) else None
    return path


def dump_node(node: Node) -> Any:
    """The node as a spec's plain data: `parse_node` of it gives the same node."""
    if isinstance(node, Grid):
        return {"grid": list(node.values)}
    if isinstance(node, Kind):
        return {node.kind: node.model_dump(exclude={"kind"}, exclude_none=True, mode="json")}
    if isinstance(node, Mapping):
        return {key: dump_node(value) for key, value in node.items()}
    return node


def kinds_in(
    nodes: Mapping[str, Node], path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Kind]]:
    """Every kind in a tree of parameters with its path, in the order of the spec."""
    found: list[tuple[tuple[str, ...], Kind]] = []
    for key, node in nodes.items():
        if isinstance(node, Kind):
            found.append(((*path, key), node))
        elif isinstance(node, Mapping):
            found.extend(kinds_in(node, (*path, key)))
    return found
