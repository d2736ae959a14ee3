"""The growth simulation at a small size: every trial ends whole, drivers that die included."""

import pytest

from benchmarks.growth import exponent, quantile, slope
from benchmarks.simulated_runs import alone, simulate
from benchmarks.simulated_service import Scenario


@pytest.mark.parametrize("postgres", [False, True], ids=["sqlite", "postgres"])
def test_a_small_simulation_ends_whole_on_the_real_store(postgres: bool) -> None:
    scenario = Scenario(trials=401, workers=60, running=3, queued=5, deaths=2)
    row = simulate(scenario, postgres=postgres)  # checks every trial itself
    assert row.measured.finished == 401
    assert row.measured.messages > 401
    assert row.loaded.trials == 117  # a third of what the small sweeps leave
    assert row.database_bytes > 0


def test_a_core_by_itself_runs_every_trial() -> None:
    found = alone(200)
    assert found.trials == 200
    assert len(found.report_s) == 10


def test_growth_is_told_as_a_power() -> None:
    sizes = [10.0, 100.0, 1000.0]
    assert exponent(sizes, [7.0, 7.0, 7.0]) == pytest.approx(0)
    assert exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert slope([0, 1, 2], [5, 7, 9]) == pytest.approx(2)
    assert quantile([4, 1, 3, 2], 0.5) == 3
    with pytest.raises(ValueError, match="two different"):
        slope([1, 1], [2, 3])
