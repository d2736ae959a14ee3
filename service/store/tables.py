"""The tables, for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from sweep.states import SweepState, TrialState, WantedState


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite holds it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """With its zone."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Key = BigInteger().with_variant(Integer, "sqlite")


def _one_of(column: str, states: type[SweepState | TrialState | WantedState]) -> CheckConstraint:
    allowed = ", ".join(f"'{state.value}'" for state in states)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


sweeps = Table(
    "sweeps",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("reason", Text),
    Column("priority", BigInteger, nullable=False),
    Column("weight", Float(53), nullable=False),
    Column("tags", Json, nullable=False),
    Column("spec", JSON, nullable=False),  # not JSONB, which forgets the order of keys
    Column("metric", Text, nullable=False),
    Column("mode", String(3), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("fruitless_drivers", Integer, nullable=False),
    Column("num_trials", Integer, nullable=False),
    Column("edits", Integer, nullable=False),
    Column("waiting", Text),
    Column("places", Integer),
    Column("used", Json, nullable=False),
    Column("excluded_nodes", Json, nullable=False),
    Column("version", BigInteger, nullable=False, default=1),  # see sql/sweeps.lock
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    _one_of("state", SweepState),
    _one_of("wanted", WantedState),
    Index(None, "state"),
)

trials = Table(
    "trials",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("sweep_pk", Key, ForeignKey("sweeps.pk", ondelete="CASCADE"), nullable=False),
    Column("index", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("error", Text),
    Column("parameters", Json, nullable=False),
    Column("group", Text, nullable=False),
    Column("assignment", Integer, nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("max_t", BigInteger),
    Column("origin", String(16), nullable=False),
    Column("parent", Integer),
    Column("pack", Text),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("node", Text),
    Column("step", BigInteger),
    Column("reports", Integer, nullable=False),
    Column("last", Json, nullable=False),
    Column("nonfinite", Json, nullable=False),
    Column("minimum", Json, nullable=False),
    Column("maximum", Json, nullable=False),
    Column("best", Float(53)),
    Column("best_step", BigInteger),
    Column("best_metrics", Json, nullable=False),
    Column("rung_value", Float(53)),
    Column("checkpoint", Text),
    Column("checkpoint_step", BigInteger, nullable=False),
    Column("best_checkpoint", Text),
    Column("works", Json, nullable=False),
    Column("edit", Integer, nullable=False),
    Column("version", BigInteger, nullable=False, default=1),  # the sweep's at its last change
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("sweep_pk", "index"),
    UniqueConstraint("sweep_pk", "parent"),
    _one_of("state", TrialState),
    Index(None, "sweep_pk", "state"),
    Index(None, "sweep_pk", "best"),
    Index(None, "sweep_pk", "version", "index"),
    Index(
        None,
        "parameters",
        postgresql_using="gin",
        postgresql_ops={"parameters": "jsonb_path_ops"},
    ).ddl_if(dialect="postgresql"),
)

reports = Table(
    "reports",
    metadata,
    Column(
        "trial_pk",
        Key,
        ForeignKey("trials.pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("time", UtcDateTime, nullable=False),
    Column("values", Json, nullable=False),
    Column("nonfinite", Json, nullable=False),
    sqlite_with_rowid=False,
)

rung_decisions = Table(
    "rung_decisions",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("sweep_pk", Key, ForeignKey("sweeps.pk", ondelete="CASCADE"), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("trial", Integer, nullable=False),
    Column("group", Text, nullable=False),
    Column("value", Float(53)),
    Column("peers", Integer, nullable=False),
    Column("cutoff", Float(53)),
    Column("decision", String(8), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    UniqueConstraint("sweep_pk", "step", "trial"),
)

drivers = Table(
    "drivers",
    metadata,
    Column("sweep_pk", Key, ForeignKey("sweeps.pk", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("lease_expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_reason", Text),
    Column("host", Text),
    Column("pid", BigInteger),
    Column("cluster", Json, nullable=False),
    Column("need", Json, nullable=False),
    Column("places", Integer, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column(
        "sweep_pk",
        Key,
        ForeignKey("sweeps.pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("work", String(40), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("stream", String(6), nullable=False),
    Column("text", Text, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("sweep_id", String(40)),
    Column("trial_id", String(60)),
    Column("detail", Json, nullable=False),
    Index(None, "sweep_id", "pk"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("roles", Json, nullable=False),
)

code = Table(
    "code",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    Column("unpacked", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=False),
)

code_chunks = Table(
    "code_chunks",
    metadata,
    Column(
        "code_pk",
        Key,
        ForeignKey("code.pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

sweep_code = Table(
    "sweep_code",
    metadata,
    Column(
        "sweep_pk",
        Key,
        ForeignKey("sweeps.pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("code_pk", Key, ForeignKey("code.pk"), nullable=False),
    Index(None, "code_pk"),
)
