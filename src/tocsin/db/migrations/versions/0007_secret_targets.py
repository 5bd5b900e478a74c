"""Contacts whose address is a secret: a webhook of a chat, the key of a paging service."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """To this revision."""
    op.add_column("contacts", sa.Column("secret", sa.Text(), nullable=True))
