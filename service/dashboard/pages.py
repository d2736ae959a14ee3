"""The page: shells that hold no data, which scripts fill from the API.

A shell is the same for everybody, so it needs no token. The scripts ask the API, which
checks the caller as it checks anyone.
"""

import re
from functools import cache

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from service.api.context import In
from service.auth import refuse_other_hosts
from service.dashboard.assets import PLOTLY, plotly_version, static_version

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PREFIX = re.compile(r"(/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)+")


@router.get("/")
def sweeps_page(request: Request, context: In) -> Response:
    """Every sweep with its progress."""
    return _shell(request, context, view="sweeps", title="Sweeps")


@router.get("/sweeps/{sweep_id}")
def sweep_page(request: Request, context: In, sweep_id: str) -> Response:
    """One sweep: its trials, its figures, what may be done with it."""
    return _shell(request, context, view="sweep", title="Sweep", subject=sweep_id)


@router.get("/trials/{trial_id}")
def trial_page(request: Request, context: In, trial_id: str) -> Response:
    """One trial: curves, parameters, what it printed."""
    return _shell(request, context, view="trial", title="Trial", subject=trial_id)


@router.get("/compare")
def compare_page(request: Request, context: In) -> Response:
    """Two or more sweeps beside each other."""
    return _shell(request, context, view="compare", title="Compare")


@router.get("/submit")
def submit_page(request: Request, context: In) -> Response:
    """An editor for a new sweep."""
    return _shell(request, context, view="submit", title="New sweep")


@router.get("/studies")
def studies_page(request: Request, context: In) -> Response:
    """The studies that the installed packages offer."""
    return _shell(request, context, view="studies", title="Studies")


@router.get("/studies/{name}")
def study_page(request: Request, context: In, name: str) -> Response:
    """One study: what was published against what was found here."""
    return _shell(request, context, view="study", title="Study", subject=name)


def base_path(request: Request) -> str | None:
    """The path under which the service is reached, when a proxy or the server tells it."""
    told = request.headers.get("x-forwarded-prefix") or request.scope.get("root_path", "")
    told = told.rstrip("/")
    return told if _PREFIX.fullmatch(told) else None


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("service.dashboard"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shell(request: Request, context: In, *, view: str, title: str, subject: str = "") -> Response:
    if context.settings.embedded:
        refuse_other_hosts(request.headers.get("host"))
    root = _root(request)
    html = (
        _templates()
        .get_template("shell.html")
        .render(
            root=root,
            static=f"{root}static/{static_version()}/",
            plotly=f"{root}static/{plotly_version()}/{PLOTLY}",
            view=view,
            title=title,
            subject=subject,
        )
    )
    headers = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def _root(request: Request) -> str:
    """Where the service starts, seen from the page; it holds behind any prefix."""
    prefix = base_path(request)
    if prefix is not None:
        return f"{prefix}/"
    depth = request.url.path.count("/") - 1
    return "../" * depth or "./"
