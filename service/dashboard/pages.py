"""The page: server-rendered, no script, one stylesheet."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from service.api.context import In, User
from service.query.ast import Compare, Field, SortKey
from service.store.interface import TrialQuery
from sweep.parameters import kinds_in
from sweep.records import SweepRecord, TrialRecord
from sweep.space import lookup
from sweep.states import FINAL_SWEEP_STATES, FINAL_TRIAL_STATES, TrialState

router = APIRouter(include_in_schema=False)

_SHOWN_SWEEPS = 100
_SHOWN_TRIALS = 50
_SHOWN_FAILURES = 10
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.dashboard"), autoescape=select_autoescape(), trim_blocks=True
    )
    environment.filters["number"] = _number
    return environment


@router.get("/")
def sweeps_page(request: Request, context: In, user: User) -> Response:
    """Every sweep with its progress."""
    sweeps = context.store.list_sweeps(limit=_SHOWN_SWEEPS).items
    live = any(sweep.state not in FINAL_SWEEP_STATES for sweep in sweeps)
    url = context.settings.public_url or str(request.base_url)
    return _page("sweeps.html", live=live, sweeps=sweeps, done=_done, url=url.rstrip("/"))


@router.get("/sweeps/{sweep_id}")
def sweep_page(context: In, user: User, sweep_id: str) -> Response:
    """One sweep: progress, leaderboard, failures."""
    sweep = context.store.get_sweep(sweep_id)
    best_first = SortKey(Field("column", ("best",)), descending=sweep.spec.metric.mode == "max")
    query = TrialQuery(sort=(best_first,), limit=_SHOWN_TRIALS)
    failed = Compare(Field("column", ("state",)), "==", TrialState.FAILED.value)
    failures = TrialQuery(filter=failed, limit=_SHOWN_FAILURES)
    return _page(
        "sweep.html",
        live=sweep.state not in FINAL_SWEEP_STATES,
        sweep=sweep,
        done=_done(sweep),
        names=[".".join(path) for path, _ in kinds_in(sweep.spec.parameters)],
        trials=context.store.list_trials(sweep_id, query).items,
        failures=context.store.list_trials(sweep_id, failures).items,
        parameter=_parameter,
    )


@router.get("/static/style.css")
def stylesheet(user: User) -> Response:
    """The stylesheet."""
    text = files("service.dashboard").joinpath("static/style.css").read_text()
    return Response(text, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _page(template: str, **values: Any) -> Response:
    html = _templates().get_template(template).render(**values)
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def _done(sweep: SweepRecord) -> int:
    return sum(sweep.trials.get(state, 0) for state in FINAL_TRIAL_STATES)


def _parameter(trial: TrialRecord, path: str) -> str:
    value = lookup(trial.parameters, path)
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values())
    return _number(value)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)
