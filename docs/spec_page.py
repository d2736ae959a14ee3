"""docs/spec.md, from the models: every field with its type, default, limits and an example."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from sweep.kinds import KINDS
from sweep.spec import SweepSpec

Schema = Mapping[str, Any]

_INTRO = """# The spec of a sweep

Every field, with its type, default, limits and an example. Unknown fields are refused, and a
spec that is refused names the path of every bad field. `sweep schema` prints all of this as JSON
Schema, for editors; `sweep submit FILE --dry-run` says what a spec would run. Generated from
the models by `python -m docs.generate`."""

_PARAMETERS = """A parameter is a constant (a scalar or a list), a mapping of further parameters, or one of the
kinds below: a mapping with one key, which names it. Both ends of a range belong to it. A grid
search takes the kind `grid` alone; the searches that draw cycle through the points of the grid.

With `when` beside it a parameter is there only where that condition holds: beside a kind, beside
nested parameters, or beside `value` for a constant. A condition may name any other parameters,
with dots for nested ones and in whatever order the spec has them; one that is absent is None. A
grid has each distinct assignment once.

| a parameter | example |
|---|---|
| a constant | `batch_size: 32` |
| nested parameters | `network: {type: dense, depth: {grid: [1, 2]}}` |
| a kind with a condition | `momentum: {when: "optimizer == 'sgd'", uniform: {min: 0, max: 0.99}}` |
| a constant with a condition | `nesterov: {when: "optimizer == 'sgd'", value: true}` |
| parameters with a condition | `adam: {when: "optimizer == 'adam'", eps: 1e-8, beta: {grid: [0.9, 0.99]}}` |

Conditions, here and in `exclude`, are a safe part of Python's expressions: comparisons, `and`,
`or`, `not`, `in`, arithmetic. They call nothing."""

_HEADS = ("field", "type", "default", "limits", "what it is", "example")


@dataclass(frozen=True)
class Section:
    """A model of the spec, and where in a spec it stands."""

    title: str
    model: type[BaseModel]
    path: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """What a link to its heading ends with."""
        return self.title.replace(" ", "-").replace(".", "")


def sections() -> list[Section]:
    """The models of a spec in the order of the page, each once: the spec, then each field's."""
    found: dict[type[BaseModel], Section] = {}
    for section in (Section("fields", SweepSpec, ()), *_inner(SweepSpec, ())):
        found.setdefault(section.model, section)
    return list(found.values())


def _inner(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Section]:
    for name, field in model.model_fields.items():
        for part in _models((field.annotation, *field.metadata)):
            here = (*path, name)
            kind = part.model_fields.get("type")
            words = [*here, *([str(kind.default)] if kind else [])]
            yield Section(" ".join(words), part, here)
            yield from _inner(part, here)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models among the parts of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in annotation if isinstance(annotation, tuple) else get_args(annotation):
        yield from _models(part)


def page() -> str:
    """The text of docs/spec.md."""
    lines = [_INTRO, "", "On this page: " + " · ".join(_contents()), ""]
    seen: set[str] = set()
    for section in sections():
        lines += _headings(section, seen)
        lines += [_said(section.model), "", *_table(section), ""]
        if section.title == "metric":
            lines += _kinds()
    return "\n".join(lines)


def _contents() -> Iterator[str]:
    names = dict.fromkeys(section.title.split(" ")[0] for section in sections())
    for name in names:
        yield f"[{name}](#{name})"
        if name == "metric":
            yield "[parameters](#parameters)"


def _headings(section: Section, seen: set[str]) -> Iterator[str]:
    first, _, more = section.title.partition(" ")
    if first not in seen:
        seen.add(first)
        yield from (f"## {first}", "")
    if more:
        yield from (f"### {section.title}", "")


def _said(model: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines())


def _kinds() -> Iterator[str]:
    yield from ("## parameters", "", _PARAMETERS, "")
    yield from (
        "### kinds",
        "",
        "| kind | its fields | what it is | example |",
        "|---|---|---|---|",
    )
    for name, model in KINDS.items():
        schema = model.model_json_schema()
        fields = [
            f"{field}: {_type(body)}{_bracketed(_limits(body))}"
            for field, body in schema["properties"].items()
            if field != "kind"
        ]
        shown = "<br>".join(f"`{example_text('p', each)}`" for each in kind_examples(model))
        yield f"| `{name}` | {', '.join(fields)} | {' '.join(_said(model).split())} | {shown} |"
    yield from ("", "A list alone stands for `values`: `{grid: [1, 2]}`, `{choice: [a, b]}`.", "")


def _table(section: Section) -> Iterator[str]:
    yield f"| {' | '.join(_HEADS)} |"
    yield "|---|" + "---|" * (len(_HEADS) - 1)
    schema = section.model.model_json_schema()
    for name, body in sorted(schema["properties"].items(), key=lambda item: item[0] != "type"):
        cells = (
            f"`{name}`",
            _linked(section, name, _type(body)),
            _default(name, body, schema),
            _limits(body),
            _meaning(name, body),
            "<br>".join(f"`{example_text(name, each)}`" for each in examples(section.model, name)),
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def examples(model: type[BaseModel], name: str) -> Sequence[Any]:
    """A field's examples; of the field that names a model's type, that name."""
    field = model.model_fields[name]
    return [field.default] if name == "type" else field.examples or []


def kind_examples(model: type[BaseModel]) -> Sequence[Any]:
    """The examples of a kind of parameter, each a whole parameter."""
    extra: Any = model.model_config.get("json_schema_extra", {})
    found: Sequence[Any] = extra.get("examples", [])
    return found


def _meaning(name: str, body: Schema) -> str:
    words = "Names this one." if name == "type" else str(body.get("description", ""))
    return " ".join(words.split())


def example_text(name: str, value: Any) -> str:
    """A field and its value as one line of YAML."""
    return f"{name}: {_flow(value)}"


def _flow(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return str(dumped).removesuffix("\n").removesuffix("\n...")


def _linked(section: Section, name: str, shown: str) -> str:
    if name in ("parameters", "metric"):
        return f"[{shown}](#{name})"
    known = [other for other in sections() if other.path == (*section.path, name)]
    if not known:
        return shown
    return f"[{shown}](#{name if len(known) > 1 else known[0].anchor})"


def _parts(body: Schema) -> list[Schema]:
    parts = body.get("anyOf", body.get("oneOf", [body]))
    return [part for part in parts if part.get("type") != "null"]


def _type(body: Schema) -> str:
    return " or ".join(dict.fromkeys(map(_one_type, _parts(body))))


def _one_type(body: Schema) -> str:
    for key in ("const", "enum"):
        if key in body:
            values = [body[key]] if key == "const" else body[key]
            return ", ".join(f"`{json.dumps(value)}`" for value in values)
    match body.get("type", "mapping" if "$ref" in body else "anything"):
        case "array":
            return f"list of {_plural(_type(body.get('items', {})))}"
        case "boolean":
            return "true or false"
        case "string":
            return "text"
        case "object":
            return "mapping"
        case other:
            return str(other)


def _plural(noun: str) -> str:
    return "values" if noun == "anything" else f"{noun}s"


def _default(name: str, body: Schema, schema: Schema) -> str:
    if name in schema.get("required", []):
        return "required"
    default = body.get("default")
    if isinstance(default, Mapping):
        default = default.get("type")
    return "" if default in (None, [], "") or name == "type" else f"`{_flow(default)}`"


_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} names",
    "pattern": "matches `{}`",
}


def _limits(body: Schema) -> str:
    found = []
    for part in _parts(body):
        for key, words in _BOUNDS.items():
            if key in part:
                bound = part[key]
                shown = f"{bound:,}" if isinstance(bound, int | float) else bound
                found.append(words.format(shown).removesuffix("s" if bound == 1 else "\0"))
    return ", ".join(found)


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""
