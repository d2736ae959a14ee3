"""Growth: the real dispatcher, store and driver core under 10,000 workers in simulated time.

`python -m benchmarks.simulation` takes under a minute, `--full` goes up to 1,000,000 trials.
Twenty large sweeps run at once and 200 small ones wait. On SQLite all figures are seconds of
the CPU, which other programs on the machine change little; with `--postgres`, whose work is
done in other processes, they are seconds of the clock. Exponents are in the number of trials:
0 is flat, 1 is linear.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks.growth import exponent, quantile
from benchmarks.simulated_runs import Alone, Row, alone, in_process, simulate
from benchmarks.simulated_service import Measured, Scenario

QUICK = (5_000, 10_000, 20_000)
FULL = (10_000, 30_000, 100_000, 300_000, 1_000_000)

Column = tuple[str, str, Callable[[Row], float], bool]
"""A heading, a format, the figure, and whether its growth is printed."""

COLUMNS: tuple[Column, ...] = (
    ("trials", "11,.0f", lambda r: r.measured.scenario.trials, False),
    ("decision p50 ms", "15.2f", lambda r: 1e3 * quantile(_steps(r.measured), 0.5), True),
    ("p99 ms", "8.2f", lambda r: 1e3 * quantile(_steps(r.measured), 0.99), True),
    ("reports", "11,.0f", lambda r: r.measured.reports, True),
    ("reports/s", "9,.0f", lambda r: r.measured.reports / sum(r.measured.batches), True),
    ("updates/s", "9,.0f", lambda r: r.measured.updates / sum(r.measured.batches), True),
    ("store s", "8.1f", lambda r: sum(r.measured.batches), True),
    ("create s", "8.1f", lambda r: r.measured.created_s, True),
    ("beat ms", "7.2f", lambda r: 1e3 * quantile(r.measured.beats, 0.5), True),
    ("database MB", "11.1f", lambda r: r.database_bytes / 1e6, True),
    ("core us/report", "14.1f", lambda r: 1e6 * r.measured.core.seconds / _reports(r), True),
    ("restart s", "9.2f", lambda r: r.loaded.seconds, True),
    ("its MB", "6.1f", lambda r: r.loaded.memory / 1e6, True),
    ("wall s", "7.0f", lambda r: r.measured.wall_s, False),
)


def main(argv: Sequence[str] = ()) -> None:
    """Simulate each size and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"the sizes {FULL}, not {QUICK}")
    parser.add_argument("--sizes", type=int, nargs="+", help="trials in all, ascending")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, not SQLite")
    parser.add_argument(
        "--batch-s", type=float, default=Scenario.batch_every_s, help="how long drivers gather"
    )
    parser.add_argument("--alone", type=int, nargs="*", help="sizes of a sweep by itself")
    options = parser.parse_args(argv)
    sizes = options.sizes or (FULL if options.full else QUICK)
    print(" ".join(f"{name:>{_width(form)}}" for name, form, _, _ in COLUMNS), flush=True)
    rows = []
    for size in sizes:
        scenario = Scenario(trials=size, batch_every_s=options.batch_s)
        rows.append(simulate(scenario, postgres=options.postgres))
        print(_line(rows[-1]), flush=True)
    if len(rows) > 1:
        _print_exponents(rows)
    print("\nthe dispatcher's decisions while so many of the trials were finished, largest size")
    _print_decisions(rows[-1].measured)
    found = sizes if options.alone is None else options.alone
    if found:
        print("\none sweep's driver core with 500 workers, messages dropped")
        _print_alone([in_process(alone, size) for size in found])


def _line(row: Row) -> str:
    return " ".join(f"{figure(row):{form}}" for _, form, figure, _ in COLUMNS)


def _width(form: str) -> int:
    return int(form.split(".")[0].rstrip(","))


def _steps(measured: Measured) -> list[float]:
    return [seconds for _, seconds in measured.steps]


def _reports(row: Row) -> int:
    return max(1, row.measured.core.reports)


def _print_exponents(rows: Sequence[Row]) -> None:
    print("growth exponents in trials:")
    trials = [row.measured.scenario.trials for row in rows]
    for name, _, figure, grows in COLUMNS:
        if grows:
            print(f"  {name:18} {exponent(trials, [figure(row) for row in rows]):6.2f}")


def _print_decisions(measured: Measured) -> None:
    trials = measured.scenario.trials
    points = []
    for tenth in range(10):
        low, high = tenth * trials / 10, (tenth + 1) * trials / 10
        times = [seconds for finished, seconds in measured.steps if low <= finished < high]
        if times:
            points.append(((low + high) / 2, quantile(times, 0.5)))
            print(
                f"  {low:11,.0f} to {high:11,.0f}: {len(times):6,} decisions, "
                f"p50 {1e3 * points[-1][1]:6.2f} ms, p99 {1e3 * quantile(times, 0.99):6.2f} ms"
            )
    if len(points) > 1:
        grown = exponent([x for x, _ in points], [y for _, y in points])
        print(f"  growth exponent of p50 in finished trials {grown:6.2f}")


def _print_alone(found: Sequence[Alone]) -> None:
    for each in found:
        tenths = " ".join(f"{1e6 * seconds:.0f}" for seconds in each.report_s)
        print(
            f"  {each.trials:11,} trials: {each.memory / 1e6:8.1f} MB, "
            f"{each.memory / each.trials:6.0f} bytes a trial; "
            f"us a report in each tenth of the run: {tenths}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
