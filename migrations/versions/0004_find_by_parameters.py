"""An index over trials' parameters, so that equality finds them without reading all."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite has none of its kind
        op.create_index(
            op.f("ix_trials_parameters"),
            "trials",
            ["parameters"],
            postgresql_using="gin",
            postgresql_ops={"parameters": "jsonb_path_ops"},
        )


def downgrade() -> None:
    op.drop_index(op.f("ix_trials_parameters"), "trials", if_exists=True)
