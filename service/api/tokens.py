"""Bearer tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from service.api.bodies import Body, model_body, read_model
from service.api.context import In, Signed, User, problems
from service.auth import issue_token
from sweep.records import NewToken, Page, TokenRecord, TokenRole

router = APIRouter(prefix="/v1", tags=["tokens"])


_NAME = r"^[A-Za-z0-9._@-]+$"

TokenId = Annotated[str, Path(max_length=100, pattern=_NAME)]


class TokenRequest(BaseModel):
    """A token to make."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=_NAME)]
    roles: tuple[TokenRole, ...] = Field(
        default=(), description="Roles that the token that asks has itself."
    )


def _token(request: Request, body: Body) -> TokenRequest:
    return read_model(TokenRequest, request, body)


@router.post(
    "/tokens",
    status_code=201,
    operation_id="create_token",
    responses=problems(409, 413, 415, 422),
    openapi_extra=model_body(TokenRequest),
)
def create_token(
    context: In, signed: Signed, wanted: Annotated[TokenRequest, Depends(_token)]
) -> NewToken:
    """Make a token; its secret is shown here and never again."""
    for role in wanted.roles:
        signed.check(role)
    return issue_token(
        context.store,
        token_id=context.new_id(),
        name=wanted.name,
        now=context.clock(),
        roles=wanted.roles,
    )


@router.get("/tokens", operation_id="list_tokens", responses=problems())
def list_tokens(context: In, user: User) -> Page[TokenRecord]:
    """Every token, the revoked ones too, without secrets."""
    return Page(items=tuple(context.store.list_tokens()))


@router.delete("/tokens/{token_id}", operation_id="revoke_token", responses=problems(404, 422))
def revoke_token(context: In, user: User, token_id: TokenId) -> TokenRecord:
    """Make a token, named by id or by name, worthless from now on."""
    return context.store.revoke_token(token_id, now=context.clock())
