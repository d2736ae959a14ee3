"""Archives of users' own code, and tokens' roles."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("tokens", sa.Column("roles", Json, nullable=False, server_default="[]"))
    op.create_table(
        "code",
        sa.Column("pk", Key, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("unpacked", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("used_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_code")),
        sa.UniqueConstraint("digest", name=op.f("uq_code_digest")),
    )
    op.create_table(
        "code_chunks",
        sa.Column("code_pk", Key, autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["code_pk"], ["code.pk"], name=op.f("fk_code_chunks_code_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("code_pk", "seq", name=op.f("pk_code_chunks")),
    )
    op.create_table(
        "sweep_code",
        sa.Column("sweep_pk", Key, autoincrement=False, nullable=False),
        sa.Column("code_pk", Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["sweep_pk"], ["sweeps.pk"], name=op.f("fk_sweep_code_sweep_pk"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["code_pk"], ["code.pk"], name=op.f("fk_sweep_code_code_pk")),
        sa.PrimaryKeyConstraint("sweep_pk", name=op.f("pk_sweep_code")),
    )
    op.create_index(op.f("ix_sweep_code_code_pk"), "sweep_code", ["code_pk"])


def downgrade() -> None:
    for table in ("sweep_code", "code_chunks", "code"):
        op.drop_table(table)
    op.drop_column("tokens", "roles")
