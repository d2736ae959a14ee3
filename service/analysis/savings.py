"""What early stopping spared."""

from service.store.interface import Store
from sweep.analysis import RungSavings, Savings
from sweep.records import SweepRecord
from sweep.rungs import stopping_steps


def savings(store: Store, sweep: SweepRecord) -> Savings:
    """Steps trained and spared, and what happened at each rung."""
    rule = sweep.spec.early_stopping
    totals = store.step_totals(sweep.id)
    counts = {(step, decision): n for step, decision, n in store.rung_counts(sweep.id)}
    steps = sorted({*stopping_steps(rule), *(step for step, _ in counts)})
    rungs = []
    for step in steps:
        stopped, continued = counts.get((step, "stop"), 0), counts.get((step, "continue"), 0)
        rungs.append(
            RungSavings(
                step=step, reached=stopped + continued, stopped=stopped, continued=continued
            )
        )
    return Savings(
        rule=rule.type,
        trained=totals.trained,
        without=totals.without,
        saved=totals.without - totals.trained,
        stopped=totals.stopped,
        rungs=tuple(rungs),
    )
