"""What trials took in the past, in SQL."""

from sqlalchemy import Connection, String, and_, cast, func, select

from service.query.fields import TRIALS
from service.store.sql.readings import Reader
from service.store.tables import sweeps, trials
from sweep.estimating import PastTraining
from sweep.states import TrialState

_LOOKED_THROUGH = 1_000
_RECENT = 20
_COUNTED = 20_000
_ENDED = (TrialState.COMPLETED.value, TrialState.STOPPED.value, TrialState.DIVERGED.value)


def past_training(connection: Connection, trainable: str) -> PastTraining:
    """What the ended trials took of the newest sweeps of a trainable.

    At most 20,000 trials count, the newest sweeps' first, of those that trained in one attempt:
    others waited between theirs, at a rung, in a pause or after a failure. The members of a pack
    count as one work, from the first one's start to the last one's end.
    """
    reader = Reader(TRIALS, connection.dialect.name)
    newest = select(sweeps.c.pk, sweeps.c.spec).order_by(sweeps.c.pk.desc()).limit(_LOOKED_THROUGH)
    looked = newest.subquery()
    same = select(looked.c.pk).where(looked.c.spec["trainable"].as_string() == trainable)
    work = func.coalesce(trials.c.pack, cast(trials.c["index"], String))
    ended = (
        select(
            trials.c.sweep_pk,
            work.label("work"),
            trials.c.step,
            trials.c.started_at,
            trials.c.ended_at,
        )
        .where(
            and_(
                trials.c.sweep_pk.in_(same.order_by(looked.c.pk.desc()).limit(_RECENT)),
                trials.c.state.in_(_ENDED),
                trials.c.step > 0,
                trials.c.attempts == 1,
                trials.c.started_at.is_not(None),
                trials.c.ended_at.is_not(None),
            )
        )
        .order_by(trials.c.sweep_pk.desc(), trials.c["index"].desc())
        .limit(_COUNTED)
        .subquery()
    )
    seconds = reader.duration(func.min(ended.c.started_at), func.max(ended.c.ended_at))
    works = (
        select(
            func.count().label("trials"),
            func.sum(ended.c.step).label("steps"),
            seconds.label("seconds"),
        )
        .group_by(ended.c.sweep_pk, ended.c.work)
        .subquery()
    )
    totals = select(func.sum(works.c.trials), func.sum(works.c.steps), func.sum(works.c.seconds))
    count, steps, taken = connection.execute(totals).one()
    return PastTraining(trials=int(count or 0), trial_steps=int(steps or 0), seconds=taken or 0.0)
