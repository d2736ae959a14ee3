"""What is written in bulk reads back as it was sent, whatever it is."""

from datetime import datetime, timedelta, timezone

from service.store.interface import Store
from sweep.states import TrialState
from sweep.wire import ReportRow, Reports
from tests.unit.store.builders import create, drive, moved, send, started

ODD = ["a\tb", 'say "loss"', "back\\slash", "\\N", "line\nend", "snow ☃", "\x00", "{}", "$1", "%s"]
NUMBERS = [0.0, -0.0, 1e300, 5e-324, -1.5, 0.1, 1e16, 3.0]


def test_odd_names_and_numbers_come_back(store: Store) -> None:
    create(store)
    driver = drive(store)
    zone = timezone(timedelta(hours=-7))
    rows = tuple(
        ReportRow(
            step=step,
            time=datetime(2026, 3, 1, 23, 59, 59, 123456, tzinfo=zone),
            values={**dict.fromkeys(ODD, number), "score": None},
            nonfinite={"score": "nan"},
        )
        for step, number in enumerate(NUMBERS, 1)
    )
    send(store, driver, started(), Reports(trial=0, attempt=1, rows=rows))
    found = store.list_reports("s1-0").items
    assert [(r.step, r.time, r.values, r.nonfinite) for r in found] == [
        (r.step, r.time, r.values, r.nonfinite) for r in rows
    ]
    trial = store.get_trial("s1-0")
    assert trial.metrics == rows[-1].values
    assert trial.nonfinite == {"score": "nan"}
    assert set(trial.minimum.values()) == {-1.5}
    assert set(trial.maximum.values()) == {1e300}


def test_odd_texts_of_a_trial_come_back(store: Store) -> None:
    create(store)
    driver = drive(store)
    text = 'Traceback\n\t"x" \\ \u2028 ☃ %s {} ' + "".join(ODD)
    send(store, driver, started(), moved(TrialState.FAILED, reason=text, error=text, failed=True))
    trial = store.get_trial("s1-0")
    assert trial.error == trial.reason == text.replace("\x00", "\ufffd")
    assert (trial.started_at, trial.ended_at) != (None, None)
