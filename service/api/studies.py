"""Studies: what ships with the installed packages, and what came of it here.

Studies are found by entry points, as trainables are. What judges and draws (pandas, scipy,
matplotlib) is loaded when a report is asked for, never before.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path as File
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from service.api.context import In, User, problems
from service.query.fields import SWEEPS
from service.query.parse import parse_filter
from service.store.interface import Store, SweepQuery, TrialQuery
from service.store.pages import every
from sweep.errors import NotFound, ServiceUnavailable
from sweep.records import Page, ReportRecord, SweepRecord
from sweep.study import Checked, Size, Study, Verdict, check_claims, find_study, studies
from sweep.study.records import (
    ClaimRecord,
    StudyFigure,
    StudyRecord,
    StudyReport,
    StudySize,
    StudySpec,
    StudySweep,
)
from sweep.study.report import check_packages, draw, notices_of
from sweep.study.results import Results, newest_run, tagged

router = APIRouter(prefix="/v1/studies", tags=["studies"])

Name = Annotated[str, Path(max_length=100)]
SizeText = Annotated[
    Size | None, Query(description="The size; the one that was run last when not given.")
]

_PAGE = 1_000
_drawing = Lock()
"""matplotlib keeps settings for the whole process while it draws."""


@router.get("", operation_id="list_studies", responses=problems())
def list_studies(user: User) -> Page[StudyRecord]:
    """The studies that the installed packages offer."""
    return Page(items=tuple(map(_record, _known().values())))


@router.get("/specs", operation_id="list_study_specs", responses=problems())
def list_study_specs(user: User) -> Page[StudySpec]:
    """Every study's sweeps as they ship, as YAML: examples to start from."""
    return Page(items=tuple(spec for study in _known().values() for spec in _specs(study)))


@router.get("/{name}", operation_id="get_study", responses=problems(404, 422))
def get_study(context: In, user: User, name: Name, size: SizeText = None) -> StudyReport:
    """A study's newest run: each published claim against what was found here."""
    study = _find(name)
    results = _results(context.store, study, size)
    if results is None:
        claims = tuple(Checked(c, Verdict.NOT_RUN, c.published, "") for c in study.claims)
        return _report(study, None, claims, ())
    check_packages()
    return _report(study, results, check_claims(study, results), notices_of(study, results))


@router.get(
    "/{name}/figures/{figure}",
    operation_id="get_study_figure",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, **problems(404, 422)},
)
def get_study_figure(
    context: In, user: User, name: Name, figure: Name, size: SizeText = None
) -> Response:
    """A picture of a study's newest run, as SVG."""
    study = _find(name)
    results = _results(context.store, study, size)
    known = {one.name: one for one in study.figures}
    if figure not in known:
        raise NotFound(f"study {name!r} has no figure {figure!r}: it has {', '.join(known)}")
    if results is None:
        raise NotFound(f"study {name!r} was not run, so there is nothing to draw")
    check_packages()
    with _drawing:
        svg = draw(known[figure], results)
    if svg is None:
        raise NotFound(f"what figure {figure!r} shows was not run")
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(svg, media_type="image/svg+xml", headers=headers)


@cache
def _known() -> dict[str, Study]:
    return studies()


def _find(name: str) -> Study:
    return _known()[name] if name in _known() else find_study(name)


def _results(store: Store, study: Study, size: Size | None) -> Results | None:
    """The study's newest run, or None."""
    size, sweeps = newest_run(_sweeps(store, study), study, size)
    if size is None or not sweeps:
        return None
    query = TrialQuery()
    records = tuple(trial for s in sweeps for trial in store.stream_trials(s.id, query))
    return Results(size, sweeps, records, lambda trial_id: _reports(store, trial_id))


def _sweeps(store: Store, study: Study) -> Iterator[SweepRecord]:
    mine = parse_filter(tagged(study), SWEEPS)
    return every(lambda at: store.list_sweeps(SweepQuery(filter=mine, limit=_PAGE, cursor=at)))


def _reports(store: Store, trial_id: str) -> Iterator[ReportRecord]:
    return every(lambda at: store.list_reports(trial_id, limit=_PAGE, cursor=at))


def _record(study: Study) -> StudyRecord:
    sizes = {
        str(size): StudySize(label=study.labels.get(size, ""), sweeps=tuple(p.stem for p in paths))
        for size, paths in study.specs.items()
    }
    return StudyRecord(
        name=study.name,
        title=study.title,
        source=study.source,
        about=study.about,
        claims=len(study.claims),
        sizes=sizes,
    )


def _specs(study: Study) -> Iterator[StudySpec]:
    for size, paths in study.specs.items():
        for path in paths:
            yield StudySpec(study=study.name, size=size, name=path.stem, text=_text(path))


def _text(path: File) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ServiceUnavailable(f"cannot read the study's spec {path.name!r}: {error}") from None


def _report(
    study: Study, results: Results | None, claims: tuple[Checked, ...], notices: tuple[str, ...]
) -> StudyReport:
    sweeps = () if results is None else results.sweeps
    return StudyReport(
        study=_record(study),
        size=None if results is None else results.size,
        sweeps=tuple(StudySweep(id=s.id, name=s.name, state=s.state) for s in sweeps),
        claims=tuple(map(_claim, claims)),
        figures=tuple(
            StudyFigure(name=f.name, title=f.title, caption=f.caption) for f in study.figures
        ),
        notices=notices,
    )


def _claim(checked: Checked) -> ClaimRecord:
    claim = checked.claim
    return ClaimRecord(
        statement=claim.statement,
        source=claim.source,
        published=checked.published,
        ours=checked.ours,
        verdict=checked.verdict,
        rule=claim.rule_text,
        tried=claim.tried,
    )
