"""What a sweep would run, as rows of words and numbers."""

from collections.abc import Iterator

from sweep.records import BudgetPlan, DryRun, Estimate

_UNITS = {
    "trials": "trials",
    "trial_steps": "trial-steps",
    "hours": "hours",
    "gpu_hours": "GPU hours",
}


def plan_rows(plan: DryRun) -> list[list[str]]:
    """The plan's numbers, each with what it counts."""
    steps = "unknown: no max_t" if plan.trial_steps is None else f"about {plan.trial_steps:,}"
    rows = [["assignments", f"{plan.num_assignments:,}"], ["trials", f"{plan.trials:,}"]]
    if plan.startup_trials is not None:
        rows.append(["assignments before a model proposes", f"{plan.startup_trials:,}"])
    rows += [["groups", f"{plan.num_groups:,}"], ["rungs", f"{len(plan.rungs):,}"]]
    rows.append(["trial-steps", steps])
    if plan.restarts:
        rows.append(["winners trained again", f"{plan.restarts:,}"])
    rows += [[f"budget of {_UNITS[line.name]}", budget_text(line)] for line in plan.budget]
    return rows + [list(row) for row in _estimate_rows(plan.estimate)]


def budget_text(line: BudgetPlan) -> str:
    """One limit and what it leaves out."""
    limit, unit = f"{line.limit:,.6g}", _UNITS[line.name]
    if line.missing is None:
        return f"{limit}; what the sweep would use is not known"
    if line.missing == 0:
        return f"{limit}: enough"
    if line.name == "trials":
        return f"{limit}: {line.missing:,.0f} would not run"
    return f"{limit}: the whole sweep would use about {line.missing:,.3g} {unit} more"


def _estimate_rows(estimate: Estimate | None) -> Iterator[tuple[str, str]]:
    if estimate is None:
        yield "hours", "unknown: no trial of this trainable has ended yet, or there is no max_t"
        return
    basis = f"by {estimate.past_trials:,} past trials"
    each = f"{estimate.seconds_per_step:.3g} s a step, {basis}"
    if estimate.hours is None or estimate.places is None:
        yield "hours with one place", f"about {estimate.place_hours:,.3g} ({each})"
    else:
        yield "hours", f"about {estimate.hours:,.3g} with {estimate.places:,} places ({each})"
    if estimate.gpu_hours:
        yield "GPU hours", f"about {estimate.gpu_hours:,.3g}"
