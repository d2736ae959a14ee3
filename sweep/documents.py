"""Specs and changes as the documents that the client sends: always JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import NotFound, SpecError
from sweep.loading import load_yaml
from sweep.spec import SweepSpec


def spec_document(spec: SweepSpec | Mapping[str, Any] | Path | str) -> str:
    """A spec as JSON text, so that the reading of YAML is this package's own.

    Raises:
        SpecError: when it cannot be read.
        NotFound: when a path leads nowhere.
    """
    if isinstance(spec, SweepSpec):
        return spec.model_dump_json()
    if isinstance(spec, Path) or (isinstance(spec, str) and "\n" not in spec):
        try:
            spec = Path(spec).read_text()
        except OSError as error:
            raise NotFound(f"cannot read the spec {str(spec)!r}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SpecError("the spec's file is not UTF-8 text") from None
    raw = load_yaml(spec) if isinstance(spec, str) else spec
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
