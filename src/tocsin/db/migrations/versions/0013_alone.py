"""Finds the alerts of which nobody could be told."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """To this revision."""
    alone = sa.text("state = 'alone'")
    op.create_index("escalations_alone", "escalations", ["alert_number"], unique=False, sqlite_where=alone, postgresql_where=alone)
