"""What was good, and documents such as alerts."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Make the tables of what is remembered beside the results."""
    op.create_table(
        "good",
        sa.Column("content_sha256", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("workload", "candidate", "hardware_class")),
        sa.Column("run_ulid", sa.String(26), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "document",
        sa.Column("kind", sa.String(40), primary_key=True),
        sa.Column("ulid", sa.String(26), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
    )
