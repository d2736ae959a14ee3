"""A whole population in one process: alone and packed, decided by the real driver."""

from typing import Any

import pytest

from sweep.rows import TrialRow
from sweep.run import Run
from sweep.states import TrialState
from sweep.submission import read_submission
from workers.ledger import Ledger
from workers.local import Options, run

STEPS = 40


def climbing(params: dict[str, Any], run: Run) -> None:
    """Its height grows by its pace with every step; what it climbed stays in its state."""
    state = run.restore() or {"step": 0, "height": 0.0}
    step, height = state["step"], state["height"]
    while step < STEPS:
        step, height = step + 1, height + params["pace"]
        run.report(step, height=height)
        if params["saves"]:
            run.save({"step": step, "height": height})


def population(trainable: str, metric: dict[str, Any], name: str, **fields: Any) -> Ledger:
    spec = {
        "name": "population",
        "trainable": trainable,
        "metric": metric,
        "search": {"type": "random", "num_trials": 6, "seed": 1},
        "early_stopping": {"type": "pbt", "interval": 10, "max_t": STEPS, "perturb": [name]},
        **fields,
    }
    return run(read_submission(spec, trainables={}, max_trials=100), Options())


def climb(*, saves: bool) -> Ledger:
    return population(
        "tests.unit.test_local_population:climbing",
        {"name": "height", "mode": "max"},
        "pace",
        parameters={"pace": {"uniform": {"min": 0, "max": 1}}, "saves": saves},
    )


def rows_of(ledger: Ledger) -> list[TrialRow]:
    return list(ledger.rows.values())


def test_the_poor_go_on_from_what_the_good_reached_and_a_run_repeats_itself() -> None:
    ledger, again = climb(saves=True), climb(saves=True)
    rows = rows_of(ledger)
    assert {(row.state, row.reason, row.step) for row in rows} == {
        (TrialState.COMPLETED, "max_t", STEPS)
    }
    assert ledger.exploits >= 3
    assert ledger.exploits == again.exploits
    assert [row.parameters for row in rows] == [row.parameters for row in rows_of(again)]
    assert [row.last for row in rows] == [row.last for row in rows_of(again)]
    plain = climb(saves=False)
    assert plain.exploits == 0
    worst, before = (min(r.last["height"] or 0.0 for r in rows_of(x)) for x in (ledger, plain))
    assert worst > before
    assert ledger.steps == plain.steps == 6 * STEPS


@pytest.mark.parametrize("pack", [3, "auto"])
def test_members_of_a_pack_leave_it_and_come_back_with_anothers_state(pack: Any) -> None:
    ledger = population(
        "tests.unit.fusion.trainings:line",
        {"name": "loss", "mode": "min"},
        "lr",
        parameters={"lr": {"loguniform": {"min": 1e-4, "max": 1e-1}}},
        pack=pack,
    )
    rows = rows_of(ledger)
    assert {(row.state, row.step) for row in rows} == {(TrialState.COMPLETED, STEPS)}
    assert ledger.exploits >= 2
    assert all(row.pack is not None for row in rows)
    taken = [row for row in rows if row.attempts > 1]
    assert taken
    assert {row.step for row in taken} == {STEPS}
