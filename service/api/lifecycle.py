"""What users ask of sweeps that are there: pause, resume, cancel, retry, change."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from service.api.bodies import model_body
from service.api.context import Context, In, User, problems
from service.api.sweeps import Document
from sweep.editing import AddTrials, Edited, SweepEdit, apply_edit, read_edit
from sweep.errors import FieldProblem, SpecError
from sweep.records import SweepRecord
from sweep.trainables import find

router = APIRouter(prefix="/v1/sweeps/{sweep_id}", tags=["sweeps"])


@router.post("/pause", status_code=202, operation_id="pause_sweep", responses=problems(404, 409))
def pause_sweep(context: In, user: User, sweep_id: str) -> SweepRecord:
    """Pause a sweep: its trials go on later from their saved states."""
    return context.store.pause_sweep(sweep_id, actor=user, now=context.clock())


@router.post("/resume", status_code=202, operation_id="resume_sweep", responses=problems(404, 409))
def resume_sweep(context: In, user: User, sweep_id: str) -> SweepRecord:
    """Let a paused sweep go on."""
    return context.store.resume_sweep(sweep_id, actor=user, now=context.clock())


@router.post("/cancel", status_code=202, operation_id="cancel_sweep", responses=problems(404, 409))
def cancel_sweep(context: In, user: User, sweep_id: str) -> SweepRecord:
    """Cancel a sweep; a running one ends within seconds."""
    return context.store.cancel_sweep(sweep_id, actor=user, now=context.clock())


@router.post("/retry", status_code=202, operation_id="retry_sweep", responses=problems(404, 409))
def retry_sweep(context: In, user: User, sweep_id: str) -> SweepRecord:
    """Have failed trials tried again; an ended sweep is queued again."""
    return context.store.retry_sweep(sweep_id, actor=user, now=context.clock())


@router.patch(
    "",
    operation_id="edit_sweep",
    responses=problems(404, 409, 413, 415, 422),
    openapi_extra=model_body(SweepEdit),
)
def edit_sweep(context: In, user: User, sweep_id: str, document: Document) -> SweepRecord:
    """Change a sweep while it runs: concurrency, priority, weight, budget, more trials."""
    return _edit(context, user, sweep_id, document)


@router.post(
    "/trials",
    status_code=201,
    operation_id="add_trials",
    responses=problems(404, 409, 413, 415, 422),
    openapi_extra=model_body(AddTrials),
)
def add_trials(context: In, user: User, sweep_id: str, document: Document) -> SweepRecord:
    """Add trials to a sweep; an ended one is queued again."""
    if not isinstance(document, Mapping):
        raise SpecError(f"what is added is a mapping of fields to values; got {document!r:.100}")
    try:
        return _edit(context, user, sweep_id, {"add": document})
    except SpecError as error:
        raise _in_body(error) from None


def _in_body(error: SpecError) -> SpecError:
    """An error of what an edit adds, at the places that a body of additions alone has."""
    return SpecError([FieldProblem(p.path.removeprefix("add."), p.message) for p in error.problems])


def _edit(context: Context, user: str, sweep_id: str, document: Any) -> SweepRecord:
    edit = read_edit(document)

    def change(sweep: SweepRecord) -> Edited:
        return apply_edit(
            edit,
            sweep.spec,
            trainable=find(sweep.spec.trainable, context.trainables),
            room=context.settings.max_trials - sweep.num_trials,
        )

    return context.store.edit_sweep(sweep_id, change, actor=user, now=context.clock())
