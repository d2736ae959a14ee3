"""The one page of a dispatcher without an API: whether it is well, for container checks."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def health_app(trouble: Callable[[], str | None]) -> Starlette:
    """Answers `GET /healthz`: 200, or 503 with what is wrong."""

    def healthz(request: Request) -> JSONResponse:
        problem = trouble()
        if problem is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "unhealthy", "reason": problem}, status_code=503)

    return Starlette(routes=[Route("/healthz", healthz)])
