"""Thresholds, and how series stand to them."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "thresholds",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("warning", sa.Double(), nullable=True),
        sa.Column("critical", sa.Double(), nullable=True),
        sa.Column("clear", sa.Double(), nullable=True),
        sa.Column("lasts_ms", sa.BigInteger(), nullable=False),
        sa.Column("missing_ms", sa.BigInteger(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "threshold_states",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("threshold_id", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("warning_since", sa.BigInteger(), nullable=True),
        sa.Column("critical_since", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("is_silent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "direction"),
    )
    op.create_index("threshold_states_due_at", "threshold_states", ["due_at"])
    op.create_index("threshold_states_threshold", "threshold_states", ["threshold_id"])
