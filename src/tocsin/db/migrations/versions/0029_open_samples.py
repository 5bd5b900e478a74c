"""The samples of the last minutes lie in the order in which they come. Those that are there stay where they are: they are read there."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "open_samples",
        sa.Column("tens", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tens", "series_id", "at"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Back from this revision."""
    op.execute(
        "INSERT INTO samples(hour, series_id, at, value) SELECT tens / 360, series_id, at, value FROM open_samples"
        " WHERE tens >= 0 ON CONFLICT DO NOTHING"
    )
    op.drop_table("open_samples")
