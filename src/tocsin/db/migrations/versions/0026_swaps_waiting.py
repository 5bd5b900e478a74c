"""Swaps that nobody has answered are looked for by the moment at which they expire."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """To this revision."""
    unanswered = sa.text("answer IS NULL")
    op.create_index("swaps_waiting", "swaps", ["expires_at"], sqlite_where=unanswered, postgresql_where=unanswered)


def downgrade() -> None:
    """Back from this revision."""
    op.drop_index("swaps_waiting", table_name="swaps")
