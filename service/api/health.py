"""Whether the service lives and is ready. These routes need no token."""

from typing import Any

from fastapi import APIRouter

from service.api.context import In, problems

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="healthz")
def healthz() -> dict[str, Any]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="readyz", responses={503: problems()[503]})
def readyz(context: In) -> dict[str, Any]:
    """The store answers and its schema is current."""
    context.store.check()
    return {"status": "ready"}
