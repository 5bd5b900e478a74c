"""Event rules, and what they hold back."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "rule_versions",
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "version"),
    )
    op.add_column("alerts", sa.Column("hold", sa.Text(), nullable=True))
    op.add_column("alerts", sa.Column("flap", sa.Text(), nullable=True))
    op.add_column("alerts", sa.Column("noise_at", sa.BigInteger(), nullable=True))
    noisy = sa.text("noise_at IS NOT NULL")
    op.create_index("alerts_noise", "alerts", ["noise_at"], unique=False, sqlite_where=noisy, postgresql_where=noisy)
