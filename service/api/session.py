"""Signing in on the page: a user's token, kept in a cookie that no script can read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.bodies import Body, model_body, read_model
from service.api.context import In, User, problems
from service.auth import COOKIE, PAGE_HEADER, Caller, authenticate_user
from service.dashboard.pages import base_path
from sweep.errors import Forbidden
from sweep.records import SessionRecord

router = APIRouter(prefix="/v1/session", tags=["session"])

_MAX_AGE_S = 30 * 24 * 3_600


class SignIn(BaseModel):
    """A token to sign in with."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]


def _sign_in(request: Request, body: Body) -> SignIn:
    return read_model(SignIn, request, body)


@router.get("", operation_id="get_session", responses=problems())
def get_session(context: In, user: User) -> SessionRecord:
    """Who is signed in, and whether there is anything to sign out of."""
    return SessionRecord(name=user, embedded=context.settings.embedded)


@router.post(
    "",
    operation_id="sign_in",
    responses=problems(413, 415, 422),
    openapi_extra=model_body(SignIn),
)
def sign_in(
    request: Request,
    response: Response,
    context: In,
    given: Annotated[SignIn, Depends(_sign_in)],
) -> SessionRecord:
    """Take a user's token and keep it in the browser's cookie."""
    _only_the_page(request)
    caller = Caller(
        authorization=f"Bearer {given.token}",
        host=request.headers.get("host"),
        origin=request.headers.get("origin"),
    )
    settings = context.settings
    signed = authenticate_user(
        context.store, caller, embedded=settings.embedded, now=context.clock()
    )
    response.set_cookie(
        COOKIE,
        given.token,
        max_age=_MAX_AGE_S,
        path=_cookie_path(request),
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )
    return SessionRecord(name=signed.name, embedded=settings.embedded)


@router.delete("", status_code=204, operation_id="sign_out", responses=problems())
def sign_out(request: Request, response: Response) -> None:
    """Forget the browser's cookie; the token stays good until it is revoked."""
    _only_the_page(request)
    response.delete_cookie(
        COOKIE,
        path=_cookie_path(request),
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )


def _only_the_page(request: Request) -> None:
    """Another site must not sign a browser in or out."""
    if PAGE_HEADER not in request.headers:
        raise Forbidden(f"this is for the page: it needs the header '{PAGE_HEADER}'")


def _cookie_path(request: Request) -> str:
    return f"{base_path(request) or ''}/"


def _is_https(request: Request) -> bool:
    forwarded = request.headers.get("x-forwarded-proto", request.url.scheme)
    return forwarded.partition(",")[0].strip() == "https"
