"""Archives of users' own code, addressed by the hash of their bytes."""

import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from service.api.context import In, Signed, problems
from service.code.keeping import IN_MEMORY_BYTES, Upload, keep, remove_unused
from sweep.records import CodeLimits, CodeRecord

router = APIRouter(prefix="/v1", tags=["code"])

Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256, in hexadecimal.")]


def _allowed(signed: Signed) -> str:
    signed.check("code")
    return signed.name


Uploader = Annotated[str, Depends(_allowed)]


async def _receive(request: Request, uploader: Uploader) -> AsyncIterator[Upload]:
    """The body in a file without a name, which is gone when the request is over."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        hashed, size = hashlib.sha256(), 0
        async for chunk in request.stream():
            file.write(chunk)
            hashed.update(chunk)
            size += len(chunk)
        yield Upload(file, size, hashed.hexdigest())


@router.get("/code", operation_id="code_limits", responses=problems())
def code_limits(context: In, uploader: Uploader) -> CodeLimits:
    """What an archive may be; needs the role `code`, as all of this."""
    return context.settings.code_limits


@router.put(
    "/code/{digest}",
    status_code=201,
    operation_id="put_code",
    responses=problems(413, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
def put_code(
    context: In,
    uploader: Uploader,
    digest: Digest,
    upload: Annotated[Upload, Depends(_receive, scope="function")],
) -> CodeRecord:
    """Keep an archive (a zip file), once it is checked; needs the role `code`.

    The same archive again changes nothing.
    """
    now = context.clock()
    limits = context.settings.code_limits
    record = keep(context.store, upload, digest, by=uploader, now=now, limits=limits)
    remove_unused(context.store, context.settings, now=now)
    return record


@router.get("/code/{digest}", operation_id="get_code", responses=problems(404, 422))
def get_code(context: In, uploader: Uploader, digest: Digest) -> CodeRecord:
    """What is known of an archive; asking keeps it for a while."""
    return context.store.use_code(digest, now=context.clock())
