"""From where a check is asked, if not by the server alone."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "check_locations",
        sa.Column("check_id", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("check_id", "location"),
        sqlite_with_rowid=False,
    )
    op.create_index("check_locations_of", "check_locations", ["site_id", "location"])


def downgrade() -> None:
    """Back from this revision."""
    op.drop_index("check_locations_of", table_name="check_locations")
    op.drop_table("check_locations")
