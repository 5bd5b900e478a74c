"""When a check last changed, for those who listen."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """To this revision."""
    op.add_column("checks", sa.Column("changed_at", sa.BigInteger(), nullable=True))
    op.create_index("checks_changed_at", "checks", ["changed_at"], unique=False)
