"""A counter of changes on sweeps and trials, for live events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("sweeps", "trials"):
        op.add_column(
            table, sa.Column("version", sa.BigInteger(), nullable=False, server_default="1")
        )
    op.create_index(
        op.f("ix_trials_sweep_pk_version_index"), "trials", ["sweep_pk", "version", "index"]
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_trials_sweep_pk_version_index"), "trials")
    for table in ("trials", "sweeps"):
        op.drop_column(table, "version")
