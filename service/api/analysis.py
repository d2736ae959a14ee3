"""Questions about many trials at once."""

from fastapi import APIRouter

from service.api.answers import (
    FoundComparison,
    FoundCurves,
    FoundGroups,
    FoundImportance,
    FoundPareto,
    FoundPivot,
    FoundSavings,
)
from service.api.context import problems
from sweep.analysis import Comparison, Curves, Groups, Importance, ParetoFront, Pivot, Savings

router = APIRouter(prefix="/v1", tags=["analysis"], responses=problems(404, 422))


@router.get("/sweeps/{sweep_id}/pivot", operation_id="pivot")
def get_pivot(found: FoundPivot) -> Pivot:
    """A metric over two fields, such as task x network."""
    return found


@router.get("/sweeps/{sweep_id}/groups", operation_id="groups")
def get_groups(found: FoundGroups) -> Groups:
    """Trials by the values of some fields: states, mean, median and the best of each."""
    return found


@router.get("/sweeps/{sweep_id}/pareto", operation_id="pareto")
def get_pareto(found: FoundPareto) -> ParetoFront:
    """The trials that no other one beats in two metrics."""
    return found[0]


@router.get("/sweeps/{sweep_id}/importance", operation_id="importance")
def get_importance(found: FoundImportance) -> Importance:
    """Which parameters a metric depends on."""
    return found


@router.get("/sweeps/{sweep_id}/savings", operation_id="savings")
def get_savings(found: FoundSavings) -> Savings:
    """What early stopping spared, and what it did at each rung."""
    return found


@router.get("/sweeps/{sweep_id}/curves", operation_id="curves")
def get_curves(found: FoundCurves) -> Curves:
    """Reports of many trials, thinned out so that every bucket keeps its extremes."""
    return found


@router.get("/compare", operation_id="compare")
def get_comparison(found: FoundComparison) -> Comparison:
    """Sweeps side by side: results, differing spec fields, matched assignments."""
    return found
