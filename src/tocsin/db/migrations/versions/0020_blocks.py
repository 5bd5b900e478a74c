"""History that is sealed, and what hours and days come to."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "blocks",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", Number, autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("pack", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("span", "part"),
    )
    op.create_table(
        "rollups_hourly",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("series_id", Number, autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        *_figures(),
        sa.PrimaryKeyConstraint("day", "series_id", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollups_daily",
        sa.Column("series_id", Number, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        *_figures(),
        sa.PrimaryKeyConstraint("series_id", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "late_days",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("series_id", Number, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "series_id"),
        sqlite_with_rowid=False,
    )


def _figures() -> list[sa.Column[Any]]:
    figures: list[sa.Column[Any]] = [sa.Column(name, sa.Double(), nullable=False) for name in ("sum", "min", "max", "p50", "p95", "p99")]
    return [sa.Column("count", sa.Integer(), nullable=False), *figures]
