"""Whether an announced gap was announced as one that has begun."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """To this revision."""
    op.add_column("oncall_gaps", sa.Column("began", sa.Boolean(), nullable=False, server_default=sa.false()))
