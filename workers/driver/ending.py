"""How a sweep ended whose trials have all ended, or are past its budget of trials."""

from sweep.spec import SweepSpec
from sweep.states import SweepState, TrialState
from workers.driver.book import Book


def ending(
    book: Book, spec: SweepSpec, *, planned: int, limit: int | None
) -> tuple[SweepState, str | None]:
    """The sweep's state, and what a person should know of it.

    Args:
        book: where every trial stands.
        spec: the sweep's.
        planned: how many trials there would be without a budget.
        limit: the budget of trials.
    """
    failed = sum(task.state is TrialState.FAILED for task in book.tasks.values())
    ran = len(book.ends) - len(book.shelved)
    if planned > ran > failed:
        return SweepState.COMPLETED, f"budget: {limit:,} of {planned:,} trials may run"
    if failed and failed == ran:
        return SweepState.FAILED, f"all {failed} trials failed"
    if failed:
        return SweepState.COMPLETED, f"{failed} of {len(book.ends)} trials failed"
    return SweepState.COMPLETED, _not_compared(book, spec)


def _not_compared(book: Book, spec: SweepSpec) -> str | None:
    """That no trial could be compared, where early stopping has a metric of its own."""
    metric = spec.early_stopping.metric
    if metric is None or any(value is not None for _, value in book.ends.values()):
        return None
    return f"no trial reported {metric.name!r}, which early_stopping compares"
