"""What is measured, and its last days."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "series",
        sa.Column("id", Number, autoincrement=True, nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("series_identity", "series", ["site_id", "host", "name", "labels"], unique=True)
    op.create_index("series_name", "series", ["name"])
    op.create_table(
        "samples",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("series_id", Number, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "series_id", "at"),
        sqlite_with_rowid=False,
    )
