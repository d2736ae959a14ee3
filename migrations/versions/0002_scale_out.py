"""Shares of the cluster, budgets, edits, excluded nodes, logs, best saved states."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)


def _added() -> dict[str, list[sa.Column[Any]]]:
    """New columns by table; the server's defaults fill the rows that are there."""
    return {
        "sweeps": [
            sa.Column("weight", sa.Float(53), nullable=False, server_default="1"),
            sa.Column("edits", sa.Integer(), nullable=False, server_default="0"),
            sa.Column("waiting", sa.Text(), nullable=True),
            sa.Column("places", sa.Integer(), nullable=True),
            sa.Column("used", Json, nullable=False, server_default="{}"),
            sa.Column("excluded_nodes", Json, nullable=False, server_default="{}"),
        ],
        "trials": [
            sa.Column("best_checkpoint", sa.Text(), nullable=True),
            sa.Column("works", Json, nullable=False, server_default="[]"),
            sa.Column("edit", sa.Integer(), nullable=False, server_default="0"),
        ],
        "drivers": [
            sa.Column("cluster", Json, nullable=False, server_default="{}"),
            sa.Column("need", Json, nullable=False, server_default="{}"),
            sa.Column("places", sa.Integer(), nullable=False, server_default="0"),
        ],
    }


def upgrade() -> None:
    for table, columns in _added().items():
        for column in columns:
            op.add_column(table, column)
    op.create_table(
        "logs",
        sa.Column("sweep_pk", Key, autoincrement=False, nullable=False),
        sa.Column("work", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.String(length=6), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("time", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["sweep_pk"], ["sweeps.pk"], name=op.f("fk_logs_sweep_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sweep_pk", "work", "seq", name=op.f("pk_logs")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("logs")
    for table, columns in _added().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
