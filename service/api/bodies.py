"""Request bodies, read within limits before anything looks at them."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sweep.errors import SpecTooLarge
from sweep.loading import MAX_BYTES, load_json, load_yaml

Model = TypeVar("Model", bound=BaseModel)

MAX_DRIVER_BYTES = 64_000_000

_JSON = "application/json"
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
    """Refuses a body whose header says that it is past its limit, or that grows past it."""

    def __init__(self, app: ASGIApp, *, max_code: int) -> None:
        self._app = app
        self._max_code = max_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a bounded body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        read = 0
        announced = Headers(scope=scope).get("content-length", "0")

        async def bounded() -> Message:
            nonlocal read
            if announced.isdecimal() and int(announced) > limit:
                raise _too_long(limit)
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _too_long(limit)
            return message

        await self._app(scope, bounded, send)

    def _limit(self, path: str) -> int:
        if path.startswith("/v1/driver/"):
            return MAX_DRIVER_BYTES
        return self._max_code if path.startswith("/v1/code/") else MAX_BYTES


def _too_long(limit: int) -> SpecTooLarge:
    return SpecTooLarge(f"the request's body has more than {limit:,} bytes")


async def _read(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_read)]


def read_document(request: Request, body: Body) -> Any:
    """The document in a body, JSON or YAML by its content type.

    No coroutine, so that it runs in a thread: reading YAML takes seconds a megabyte,
    and drivers' heartbeats must not wait for it.
    """
    kind = _kind(request)
    if kind == _JSON:
        return load_json(body)
    if kind in _YAML_TYPES:
        return load_yaml(body)
    raise HTTPException(
        415, f"{kind!r:.100} is not supported: send application/json or application/yaml"
    )


def read_model(model: type[Model], request: Request, body: bytes) -> Model:
    """The model that a JSON body holds.

    FastAPI reads the body of a parameter on the event loop and before any dependency,
    so before the token is looked at; a dependency that calls this comes after it.
    """
    if (kind := _kind(request)) != _JSON:
        raise HTTPException(415, f"{kind!r:.100} is not supported: send application/json")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**detail, "loc": ("body", *detail["loc"])} for detail in found]
        ) from None


def model_body(model: type[BaseModel]) -> dict[str, Any]:
    """The documentation of a body that `read_model` reads."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


def _kind(request: Request) -> str:
    kind: str = request.headers.get("content-type", _JSON)
    return kind.partition(";")[0].strip().lower()
