"""What every router needs: the parts that the app was made of, and who is calling."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from service.api.places import Places
from service.auth import (
    COOKIE,
    PAGE_HEADER,
    Caller,
    Identity,
    authenticate_driver,
    authenticate_user,
)
from service.code.looking import CodeChecks
from service.live.hub import Hub
from service.settings import Settings
from service.store.interface import DriverIdentity, Store
from sweep.records import Problem
from sweep.trainables import Trainable


@dataclass(frozen=True)
class Context:
    """The parts that an app is made of."""

    store: Store
    settings: Settings
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    trainables: Mapping[str, Trainable]
    hub: Hub
    batches: Places
    code_checks: CodeChecks

    @property
    def lease(self) -> timedelta:
        """How long a driver may be silent."""
        return timedelta(seconds=self.settings.lease_s)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


In = Annotated[Context, Depends(_context)]


def _caller(request: Request) -> Caller:
    headers = request.headers
    return Caller(
        authorization=headers.get("authorization"),
        host=headers.get("host"),
        origin=headers.get("origin"),
        method=request.method,
        cookie=request.cookies.get(COOKIE),
        from_page=PAGE_HEADER in headers,
    )


def _identity(request: Request, context: In) -> Identity:
    return authenticate_user(
        context.store,
        _caller(request),
        embedded=context.settings.embedded,
        now=context.clock(),
    )


def _user(identity: Annotated[Identity, Depends(_identity)]) -> str:
    return identity.name


def _driver(request: Request, context: In) -> DriverIdentity:
    return authenticate_driver(context.store, _caller(request))


Signed = Annotated[Identity, Depends(_identity)]
User = Annotated[str, Depends(_user)]
Driver = Annotated[DriverIdentity, Depends(_driver)]

Limit = Annotated[int, Query(ge=1, le=1_000, description="Items on a page.")]
Cursor = Annotated[
    str | None, Query(max_length=4_000, description="`next_cursor` of the page before.")
]

_PROBLEM = {
    "model": Problem,
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem responses of a route, for its documentation."""
    return {status: dict(_PROBLEM) for status in (401, 403, *statuses, 503)}
