"""A spec as the YAML that a person reads: kinds on a line of their own, no aliases."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

_SHORT = 110
_LIKE_A_NUMBER = re.compile(r"[-+]?\.?[0-9][-+.0-9eE]*")


def to_yaml(spec: Mapping[str, Any]) -> str:
    """The spec as YAML; reading it gives the same spec."""
    document = {**spec, "parameters": _Block(spec["parameters"])}
    history = document["search"].get("history", [])
    if history:
        document["search"] = _Block({**document["search"], "history": []})
    body = yaml.dump(
        _Block(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    # JSON is YAML too, and written a hundred times as fast.
    lines = "".join(f"\n  - {json.dumps(point, ensure_ascii=False)}" for point in history)
    body = body.replace("\n  history: []", f"\n  history:{lines}", 1) if history else body
    return body


class _Block(dict[str, Any]):
    """A mapping that is written over several lines however small it is."""


class _Dumper(yaml.SafeDumper):
    """Writes kinds and other small mappings on one line, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_mapping(dumper: _Dumper, data: Mapping[str, Any]) -> yaml.Node:
    flow = not isinstance(data, _Block) and len(str(data)) < _SHORT
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=flow)


def _represent_list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


def _represent_text(dumper: _Dumper, data: str) -> yaml.Node:
    # A spec is read as YAML 1.2, where 1e-4 is a number; PyYAML would leave it bare.
    style = '"' if _LIKE_A_NUMBER.fullmatch(data) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_multi_representer(dict, _represent_mapping)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)
