"""First schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("pk", Key, nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("sweep_id", sa.String(length=40), nullable=True),
        sa.Column("trial_id", sa.String(length=60), nullable=True),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_sweep_id_pk"), ["sweep_id", "pk"], unique=False)

    op.create_table(
        "sweeps",
        sa.Column("pk", Key, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("wanted", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("mode", sa.String(length=3), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("fruitless_drivers", sa.Integer(), nullable=False),
        sa.Column("num_trials", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time, nullable=True),
        sa.Column("ended_at", Time, nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_sweeps_state"),
        ),
        sa.CheckConstraint("wanted IN ('run', 'pause', 'cancel')", name=op.f("ck_sweeps_wanted")),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_sweeps")),
        sa.UniqueConstraint("id", name=op.f("uq_sweeps_id")),
    )
    with op.batch_alter_table("sweeps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sweeps_state"), ["state"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("pk", Key, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("last_used_at", Time, nullable=True),
        sa.Column("revoked_at", Time, nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_tokens")),
        sa.UniqueConstraint("id", name=op.f("uq_tokens_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_tokens_token_hash")),
    )
    op.create_table(
        "drivers",
        sa.Column("sweep_pk", Key, nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("lease_expires_at", Time, nullable=False),
        sa.Column("ended_at", Time, nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["sweep_pk"], ["sweeps.pk"], name=op.f("fk_drivers_sweep_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sweep_pk", "epoch", name=op.f("pk_drivers")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_drivers_token_hash")),
    )
    op.create_table(
        "rung_decisions",
        sa.Column("pk", Key, nullable=False),
        sa.Column("sweep_pk", Key, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=True),
        sa.Column("peers", sa.Integer(), nullable=False),
        sa.Column("cutoff", sa.Float(precision=53), nullable=True),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.Column("decided_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["sweep_pk"], ["sweeps.pk"], name=op.f("fk_rung_decisions_sweep_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_rung_decisions")),
        sa.UniqueConstraint(
            "sweep_pk", "step", "trial", name=op.f("uq_rung_decisions_sweep_pk_step_trial")
        ),
    )
    op.create_table(
        "trials",
        sa.Column("pk", Key, nullable=False),
        sa.Column("sweep_pk", Key, nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("assignment", sa.Integer(), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("max_t", sa.BigInteger(), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("pack", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("last", Json, nullable=False),
        sa.Column("nonfinite", Json, nullable=False),
        sa.Column("minimum", Json, nullable=False),
        sa.Column("maximum", Json, nullable=False),
        sa.Column("best", sa.Float(precision=53), nullable=True),
        sa.Column("best_step", sa.BigInteger(), nullable=True),
        sa.Column("best_metrics", Json, nullable=False),
        sa.Column("rung_value", sa.Float(precision=53), nullable=True),
        sa.Column("checkpoint", sa.Text(), nullable=True),
        sa.Column("checkpoint_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time, nullable=True),
        sa.Column("ended_at", Time, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'paused', 'completed', 'stopped', "
            "'diverged', 'failed', 'cancelled')",
            name=op.f("ck_trials_state"),
        ),
        sa.ForeignKeyConstraint(
            ["sweep_pk"], ["sweeps.pk"], name=op.f("fk_trials_sweep_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_trials")),
        sa.UniqueConstraint("sweep_pk", "index", name=op.f("uq_trials_sweep_pk_index")),
        sa.UniqueConstraint("sweep_pk", "parent", name=op.f("uq_trials_sweep_pk_parent")),
    )
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_trials_sweep_pk_best"), ["sweep_pk", "best"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_trials_sweep_pk_state"), ["sweep_pk", "state"], unique=False
        )

    op.create_table(
        "reports",
        sa.Column("trial_pk", Key, autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.Column("nonfinite", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_pk"], ["trials.pk"], name=op.f("fk_reports_trial_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_pk", "step", name=op.f("pk_reports")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("reports")
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_trials_sweep_pk_state"))
        batch_op.drop_index(batch_op.f("ix_trials_sweep_pk_best"))

    op.drop_table("trials")
    op.drop_table("rung_decisions")
    op.drop_table("drivers")
    op.drop_table("tokens")
    with op.batch_alter_table("sweeps", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sweeps_state"))

    op.drop_table("sweeps")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_sweep_id_pk"))

    op.drop_table("events")
