"""Every field of a spec has a description and an example that can be read."""

import re
from typing import Any

import pytest
from pydantic import BaseModel

from docs.spec_page import Section, example_text, examples, kind_examples, page, sections
from sweep.kinds import KINDS
from sweep.loading import load_yaml
from sweep.parameters import Kind, parse_node
from sweep.spec import SweepSpec, parse_spec
from sweep.values import KindModel

FIELDS = [
    pytest.param(section, name, value, id=f"{section.title} {name} {i}")
    for section in sections()
    for name in section.model.model_fields
    for i, value in enumerate(examples(section.model, name))
]


def least(model: type[BaseModel]) -> dict[str, Any]:
    """What a model needs, by its fields' own examples."""
    fields = model.model_fields
    return {n: examples(model, n)[0] for n in fields if n == "type" or fields[n].is_required()}


def spec_with(section: Section, body: dict[str, Any]) -> dict[str, Any]:
    """The smallest spec that has such a part."""
    spec = least(SweepSpec)
    by_path = {other.path: other for other in reversed(sections())}
    inner: Any = body
    for length in range(len(section.path), 0, -1):
        outer = section.path[: length - 1]
        field = SweepSpec if not outer else holder(by_path[outer], section.path[length - 1])
        annotation = str(field.model_fields[section.path[length - 1]].annotation)
        is_list = "list" in annotation or "tuple" in annotation
        inner = {**least(field), section.path[length - 1]: [inner] if is_list else inner}
        if section.path[length - 1] == "perturb":
            inner["perturb"] = {"lr": inner["perturb"]}
    spec |= inner
    if spec.get("early_stopping", {}).get("type") == "pbt":
        spec["search"] = {"type": "random", "num_trials": 8}
    if spec.get("search", {}).get("type", "grid") != "grid":
        spec["parameters"] = {"lr": {"loguniform": {"min": 1e-4, "max": 0.1}}}
    return spec


def holder(section: Section, name: str) -> type[BaseModel]:
    """The model at a section's path that has a field, of all that may stand there."""
    return next(
        other.model
        for other in sections()
        if other.path == section.path and name in other.model.model_fields
    )


@pytest.mark.parametrize(("section", "name", "value"), FIELDS)
def test_an_example_is_valid_as_it_is_written(section: Section, name: str, value: Any) -> None:
    read = load_yaml(example_text(name, value))
    assert read == {name: value}
    parse_spec(spec_with(section, {**least(section.model), **read}))


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.title)
def test_every_field_has_an_example_and_a_description(section: Section) -> None:
    for name, field in section.model.model_fields.items():
        assert examples(section.model, name), f"give {section.title}.{name} examples=[…]"
        assert name == "type" or field.description, f"describe {section.title}.{name}"
    assert section.model.__doc__


@pytest.mark.parametrize("model", KINDS.values(), ids=list(KINDS))
def test_an_example_of_a_kind_is_one(model: type[KindModel]) -> None:
    assert kind_examples(model)
    for example in kind_examples(model):
        node = parse_node(load_yaml(example_text("p", example))["p"], "p")
        assert isinstance(node, Kind)
        assert type(node) is model


def test_the_parameters_of_the_page_are_valid() -> None:
    table = page().partition("| a parameter | example |")[2].partition("\n\n")[0]
    shown = re.findall(r"\| `([^`]+)` \|$", table, re.MULTILINE)
    assert len(shown) == 5
    optimizer = {"optimizer": {"grid": ["sgd", "adam"]}}
    for text in shown:
        parameters = {**optimizer, **load_yaml(text)}
        search = {"type": "random", "num_trials": 2}
        parse_spec({**least(SweepSpec), "parameters": parameters, "search": search})


def test_links_on_the_page_lead_to_headings() -> None:
    text = page()
    anchors = {
        re.sub(r"[^\w -]", "", heading).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text.lower(), re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
