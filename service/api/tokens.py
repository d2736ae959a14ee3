"""Bearer tokens."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from service.api.context import In, User, problems
from service.auth import issue_token
from sweep.records import NewToken, Page, TokenRecord

router = APIRouter(prefix="/v1", tags=["tokens"])


_NAME = r"^[A-Za-z0-9._@-]+$"

TokenId = Annotated[str, Path(max_length=100, pattern=_NAME)]


class TokenRequest(BaseModel):
    """A token to make."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=_NAME)]


@router.post(
    "/tokens", status_code=201, operation_id="create_token", responses=problems(409, 413, 422)
)
def create_token(context: In, user: User, request: TokenRequest) -> NewToken:
    """Make a token; its secret is shown here and never again."""
    return issue_token(
        context.store, token_id=context.new_id(), name=request.name, now=context.clock()
    )


@router.get("/tokens", operation_id="list_tokens", responses=problems())
def list_tokens(context: In, user: User) -> Page[TokenRecord]:
    """Every token, the revoked ones too, without secrets."""
    return Page(items=tuple(context.store.list_tokens()))


@router.delete("/tokens/{token_id}", operation_id="revoke_token", responses=problems(404, 422))
def revoke_token(context: In, user: User, token_id: TokenId) -> TokenRecord:
    """Make a token, named by id or by name, worthless from now on."""
    return context.store.revoke_token(token_id, now=context.clock())
