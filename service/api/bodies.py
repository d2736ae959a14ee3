"""Request bodies, read within limits before anything looks at them."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sweep.errors import SpecTooLarge
from sweep.loading import MAX_BYTES, load_json, load_yaml

MAX_DRIVER_BYTES = 64_000_000

_YAML_TYPES = frozenset(
    {
        "application/yaml",
        "application/x-yaml",
        "text/yaml",
        "application/x-www-form-urlencoded",  # what curl says when it is told nothing
    }
)

SPEC_BODY: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SweepSpec"}},
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}


class BodyLimit:
    """Stops reading a body that grows past its limit, whatever its headers say."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a bounded body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_DRIVER_BYTES if scope["path"].startswith("/v1/driver/") else MAX_BYTES
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise SpecTooLarge(f"the request's body has more than {limit:,} bytes")
            return message

        await self._app(scope, bounded, send)


async def read_document(request: Request) -> Any:
    """The document in a body, JSON or YAML by its content type."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    body = await request.body()
    if kind.lower() == "application/json":
        return load_json(body)
    if kind.lower() in _YAML_TYPES:
        return load_yaml(body)
    raise HTTPException(
        415, f"{kind!r:.100} is not supported: send application/json or application/yaml"
    )
