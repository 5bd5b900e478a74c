"""Swaps that somebody was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "swaps",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("schedule_id", sa.Text(), nullable=False),
        sa.Column("first_user", sa.Text(), nullable=False),
        sa.Column("first_starts_at", sa.BigInteger(), nullable=False),
        sa.Column("first_ends_at", sa.BigInteger(), nullable=False),
        sa.Column("second_user", sa.Text(), nullable=False),
        sa.Column("second_starts_at", sa.BigInteger(), nullable=False),
        sa.Column("second_ends_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("swaps_schedule", "swaps", ["schedule_id", "id"])


def downgrade() -> None:
    """Back from this revision."""
    op.drop_index("swaps_schedule", table_name="swaps")
    op.drop_table("swaps")
