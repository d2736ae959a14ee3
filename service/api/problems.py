"""Errors as problem documents (RFC 9457)."""

import logging
import math
import secrets

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sweep.errors import (
    BadCode,
    FieldProblem,
    ParameterError,
    QueryError,
    SpecError,
    SweepError,
    TooManyRequests,
)
from sweep.records import Problem

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_MAX_PROBLEMS = 100
_MAX_DETAIL = 10_000

_TITLES = {
    "invalid-spec": "The sweep spec is not valid",
    "too-large": "The request is larger than this service takes",
    "bad-code": "The archive of code is not one that this service takes",
    "invalid-query": "The filter, sort or cursor is not valid",
    "invalid-parameter": "A parameter of the question does not fit",
    "invalid-request": "The request is not valid",
    "not-found": "There is no such thing",
    "conflict": "The present state does not allow that",
    "fenced": "A successor holds this driver's lease",
    "unauthorized": "A valid bearer token is needed",
    "forbidden": "This token does not give access to that",
    "unavailable": "The service is not ready",
    "too_many_requests": "The service has too much to do now",
    "unsupported-media-type": "The body's type is not supported",
    "method-not-allowed": "This route does not take that method",
    "internal": "Something went wrong inside the service",
}


def problem_response(
    request: Request,
    *,
    status: int,
    code: str,
    detail: str,
    problems: tuple[FieldProblem, ...] = (),
    column: int | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A response that carries a problem document, of bounded size however much is wrong."""
    problem = Problem(
        title=_TITLES.get(code, code),
        status=status,
        code=code,
        detail=detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}…",
        instance=request.url.path,
        problems=tuple({"path": p.path, "message": p.message} for p in problems[:_MAX_PROBLEMS]),
        column=column,
    )
    body = problem.model_dump(mode="json", exclude={"column"} if column is None else None)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""
    app.add_exception_handler(SweepError, _sweep_error)
    app.add_exception_handler(RequestValidationError, _request_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _nobody_listens)
    app.add_exception_handler(Exception, _unexpected)


def _sweep_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SweepError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(math.ceil(error.retry_after_s))}
    elif error.status == 503:
        headers = {"Retry-After": "1"}
    detail = error.message
    if isinstance(error, SpecError):
        return problem_response(
            request,
            status=error.status,
            code=error.code,
            detail=detail,
            problems=tuple(p for p in error.problems if p.path),
        )
    if isinstance(error, QueryError) and not isinstance(error, ParameterError):
        return _query_error(request, error)
    return problem_response(
        request,
        status=error.status,
        code=error.code,
        detail=detail,
        problems=error.problems if isinstance(error, ParameterError | BadCode) else (),
        headers=headers,
    )


def _query_error(request: Request, error: QueryError) -> JSONResponse:
    detail = error.message
    if error.column is not None:
        detail = f"{detail} (column {error.column})"
    return problem_response(
        request,
        status=error.status,
        code=error.code,
        detail=detail,
        problems=(FieldProblem(error.part, error.message),) if error.part else (),
        column=error.column,
    )


def _request_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = []
    for detail in error.errors():
        path = ".".join(str(part) for part in detail["loc"])
        problems.append(FieldProblem(path, detail["msg"]))
    return problem_response(
        request,
        status=422,
        code="invalid-request",
        detail="; ".join(f"{p.path}: {p.message}" for p in problems),
        problems=tuple(problems),
    )


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    codes = {
        404: "not-found",
        405: "method-not-allowed",
        413: "too-large",
        415: "unsupported-media-type",
    }
    return problem_response(
        request,
        status=error.status_code,
        code=codes.get(error.status_code, "invalid-request"),
        detail=str(error.detail),
        headers=dict(error.headers or {}),
    )


def _nobody_listens(request: Request, error: Exception) -> Response:
    """The client hung up before all of its request was there: no fault of the service."""
    logger.info("the client of %s %s hung up", request.method, request.url.path)
    return Response(status_code=400)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    number = secrets.token_hex(4)
    logger.error("unexpected error %s at %s", number, request.url.path, exc_info=error)
    return problem_response(
        request,
        status=500,
        code="internal",
        detail=f"the service's log has the details under {number}",
    )
