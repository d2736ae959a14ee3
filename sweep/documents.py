"""Specs and changes as the documents that the client sends: always JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import NotFound, SpecError
from sweep.loading import load_yaml
from sweep.spec import SweepSpec


def spec_data(spec: Path | str) -> Mapping[str, Any]:
    """The plain data of a spec in YAML or JSON.

    Args:
        spec: its file, or its text, which has a line's end.

    Raises:
        SpecError: when it cannot be read, or is no mapping.
        NotFound: when a path leads nowhere.
    """
    text = spec if isinstance(spec, str) and "\n" in spec else _text(Path(spec))
    raw = load_yaml(text)
    if not isinstance(raw, Mapping):
        raise SpecError(f"a spec is a mapping of fields to values; got {raw!r:.100}")
    return raw


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise NotFound(f"cannot read the spec {str(file)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError("the spec's file is not UTF-8 text") from None


def spec_document(spec: SweepSpec | Mapping[str, Any] | Path | str) -> str:
    """A spec as JSON text, so that the reading of YAML is this package's own.

    Raises:
        SpecError: when it cannot be read.
        NotFound: when a path leads nowhere.
    """
    if isinstance(spec, SweepSpec):
        return spec.model_dump_json()
    raw = spec_data(spec) if isinstance(spec, Path | str) else spec
    try:
        return json.dumps(raw, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise SpecError(f"the spec holds what JSON cannot: {error}") from None


def with_code(document: str, address: str) -> str:
    """A spec, as JSON, that names an archive.

    Raises:
        SpecError: when it is no mapping.
    """
    raw = json.loads(document)
    if not isinstance(raw, dict):
        raise SpecError(f"a spec is a mapping of fields to values; got {raw!r:.100}")
    return json.dumps({**raw, "code": address})
