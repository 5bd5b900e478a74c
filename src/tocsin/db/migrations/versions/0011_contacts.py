"""Contacts in an order of their own, and who is soon on call with too few of them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """To this revision."""
    op.add_column("contacts", sa.Column("place", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "oncall_unready",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("contacts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )
