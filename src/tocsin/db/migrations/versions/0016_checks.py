"""Checks from outside, what they found, and how long each status lasted."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "checks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_since", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("last_ms", sa.Float(), nullable=True),
        sa.Column("last_words", sa.Text(), nullable=True),
        sa.Column("last_cause", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("checks_due", "checks", ["due_at"], unique=False, sqlite_where=due, postgresql_where=due)
    op.create_index("checks_site", "checks", ["site_id"], unique=False)
    op.create_table(
        "check_results",
        sa.Column("check_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("ms", sa.Float(), nullable=True),
        sa.Column("phases", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("check_id", "at"),
        sqlite_with_rowid=False,
    )
    plain, evident = sa.text("evidence IS NULL"), sa.text("evidence IS NOT NULL")
    op.create_index("check_results_plain", "check_results", ["at"], unique=False, sqlite_where=plain, postgresql_where=plain)
    op.create_index("check_results_evident", "check_results", ["at"], unique=False, sqlite_where=evident, postgresql_where=evident)
    op.create_table(
        "check_spans",
        sa.Column("check_id", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("check_id", "starts_at"),
        sqlite_with_rowid=False,
    )
    op.create_index("check_spans_ends_at", "check_spans", ["ends_at"], unique=False)
