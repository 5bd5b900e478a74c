"""Text messages and calls: what was handed over, what people answered, who wants no more."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """To this revision."""
    op.add_column("contacts", sa.Column("stopped_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "handovers",
        sa.Column("outbox_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("elsewhere", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("outbox_id", "fence"),
    )
    known, due = sa.text("provider_id IS NOT NULL"), sa.text("due_at IS NOT NULL")
    op.create_index(
        "handovers_provider_id", "handovers", ["provider", "provider_id"], unique=True, sqlite_where=known, postgresql_where=known
    )
    op.create_index("handovers_due", "handovers", ["due_at"], unique=False, sqlite_where=due, postgresql_where=due)
    op.create_index("handovers_created_at", "handovers", ["created_at"], unique=False)
    op.create_table(
        "phone_replies",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("provider", "id"),
    )
