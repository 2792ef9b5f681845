"""The results of runs, and the digest of each run's rows."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None

_TEXTS = (
    *("workload", "candidate", "scenario", "metric", "hardware_class", "unit", "run_ulid", "run_id", "recorded"),
    *("commit", "artifact_sha256", "parameters_sha256", "lock_sha256", "data_sha256", "host_id", "operating_system"),
)
_KEY = ("workload", "candidate", "scenario", "metric", "hardware_class")


def upgrade() -> None:
    """Make the first two tables."""
    op.create_table(
        "result",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        sa.Column("value", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Text, nullable=True) for name in ("driver", "image_digest", "mark")),
        sa.Column("order_ulid", sa.String(26), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.UniqueConstraint("run_ulid", *_KEY, name="one_value_a_run"),
    )
    op.create_index("series", "result", [*_KEY, "order_ulid"])
    op.create_index("newest_of_host", "result", ["host_id", "order_ulid"])
    op.create_index("newest_of_class", "result", ["hardware_class", "workload", "order_ulid"])
    op.create_table(
        "append_log",
        sa.Column("run_ulid", sa.String(26), primary_key=True),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("rows_sha256", sa.String(64), nullable=False),
    )
