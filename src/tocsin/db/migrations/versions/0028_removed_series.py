"""Series of history that were removed."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """To this revision."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "removed_series",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("series_id", number, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column("swept_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("series_id"),
    )
    left = sa.text("swept_at IS NULL")
    op.create_index("removed_series_left", "removed_series", ["series_id"], sqlite_where=left, postgresql_where=left)


def downgrade() -> None:
    """Back from this revision."""
    op.drop_index("removed_series_left", table_name="removed_series")
    op.drop_table("removed_series")
