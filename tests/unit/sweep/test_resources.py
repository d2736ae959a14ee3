"""What a trial may ask of a node, and what is refused at submission."""

from collections.abc import Mapping
from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.spec import Resources, parse_spec


def read(resources: Mapping[str, Any]) -> Resources | None:
    return parse_spec(
        {
            "name": "test",
            "trainable": "noop",
            "metric": {"name": "score", "mode": "max"},
            "parameters": {"x": 1},
            "resources": resources,
        }
    ).resources


@pytest.mark.parametrize(
    "resources",
    [
        {"cpu": 1.5},
        {"cpu": 0, "gpu": 0.25},
        {"gpu": 4, "accelerator_type": "A100-80G"},
        {"memory": 12.5, "custom": {"licence": 0.5, "TPU-v4-head": 1, "a b": 1}},
    ],
)
def test_what_ray_can_reserve_is_taken(resources: Mapping[str, Any]) -> None:
    taken = read(resources)
    assert taken is not None
    assert taken.model_dump(include=set(resources)) == resources


@pytest.mark.parametrize(
    ("resources", "path", "words"),
    [
        ({"gpu": 1.5}, "resources", "neither whole nor a fraction of one GPU"),
        ({"gpu": 0.00001}, "resources.gpu", "Ray counts down to 0.0001"),
        ({"cpu": 0.00001}, "resources.cpu", "Ray counts down to 0.0001"),
        ({"cpu": 0}, "resources", "must reserve something"),
        ({"cpu": -1}, "resources.cpu", "greater than or equal to 0"),
        ({"memory": -1}, "resources.memory", "greater than or equal to 0"),
        ({"disk": 1}, "resources.disk", "not permitted"),
        ({"custom": {"GPU": 1}}, "resources.custom", "fields of their own"),
        ({"custom": {"cpu": 1}}, "resources.custom", "fields of their own"),
        ({"custom": {"object_store_memory": 1}}, "resources.custom", "Ray keeps"),
        ({"custom": {"accelerator_type:T4": 1}}, "resources.custom", "fields of their own"),
        ({"custom": {"node:10.0.0.1": 1}}, "resources.custom", "names with ':'"),
        ({"custom": {"licence": 0.00001}}, "resources.custom", "Ray counts down to 0.0001"),
        ({"custom": {"licence": 0}}, "resources.custom.licence", "greater than 0"),
        ({"accelerator_type": "A 100"}, "resources.accelerator_type", "match"),
    ],
)
def test_what_no_node_could_reserve_is_refused_with_its_path(
    resources: Mapping[str, Any], path: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read(resources)
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert list(found) == [path]
    assert words in found[path]
