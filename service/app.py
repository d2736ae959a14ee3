"""The HTTP side of the service, put together."""

from collections.abc import Callable, Mapping
from datetime import datetime

from fastapi import FastAPI

from service.api import (
    analysis,
    catalogue,
    code,
    driver,
    events,
    figures,
    health,
    lifecycle,
    logs,
    queries,
    session,
    studies,
    sweeps,
    tokens,
    trials,
)
from service.api.bodies import BodyLimit
from service.api.context import Context
from service.api.places import Places
from service.api.problems import install
from service.api.session import SignIn
from service.api.tokens import TokenRequest
from service.code.looking import CodeChecks
from service.dashboard import assets, pages
from service.live.hub import Hub
from service.settings import Settings
from service.store.interface import Store
from sweep.editing import AddTrials, SweepEdit
from sweep.spec import SweepSpec
from sweep.trainables import Trainable
from sweep.wire import Batch, Heartbeat

PARTS = (
    *(sweeps, lifecycle, trials, queries, analysis, figures, logs, events, studies),
    *(catalogue, code, tokens, session, driver, health, pages, assets),
)
"""The modules whose routers make up the app."""


def create_app(
    *,
    store: Store,
    settings: Settings,
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
    trainables: Mapping[str, Trainable],
) -> FastAPI:
    """The application over a store; clock, ids and trainables are passed in."""
    app = FastAPI(
        title="Sweep service",
        version="1",
        description="Post a sweep, follow it, query its results.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = Context(
        store=store,
        settings=settings,
        clock=clock,
        new_id=new_id,
        trainables=trainables,
        hub=Hub(store),
        batches=Places(settings.max_batches),
        code_checks=CodeChecks(store),
    )
    install(app)
    app.add_middleware(BodyLimit, max_code=settings.code_limits.archive_bytes)
    for part in PARTS:
        app.include_router(part.router)
    _document_bodies(app)
    return app


def _document_bodies(app: FastAPI) -> None:
    """Put the bodies' schemas into the OpenAPI document: they are read by hand."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        document = generate()
        parts = document.setdefault("components", {}).setdefault("schemas", {})
        for model in (SweepSpec, SweepEdit, AddTrials, TokenRequest, SignIn, Batch, Heartbeat):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            parts.update(schema.pop("$defs", {}))
            parts[model.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
