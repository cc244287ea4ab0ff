"""Payloads that are kept apart from their headers: whose data keys there are, and the boxes under them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(), "postgresql")


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"

    def refers(target: str) -> list[sa.ForeignKey]:
        return [sa.ForeignKey(target)] if on_sqlite else []

    op.create_table(
        "subjects",
        sa.Column("tenant", _Big, *refers("tenants.no"), primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("subject", _text(512)),
        sa.Column("wrapped", sa.LargeBinary()),
        sa.Column("created_at", _text(27), nullable=False),
        sa.Column("destroyed_at", _text(27)),
        sa.UniqueConstraint("tenant", "subject", name="subjects_by_name"),
    )
    op.create_table(
        "protected",
        sa.Column("seq", _Big, *refers("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tenant", _Big, *refers("tenants.no"), nullable=False),
        sa.Column("key", sa.LargeBinary(16)),
        sa.Column("form", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("place", _text(64)),
    )
    op.create_index("protected_by_key", "protected", ["tenant", "key"])
    op.create_index("protected_by_place", "protected", ["tenant", "place"])
    if op.get_bind().dialect.name == "postgresql":
        # Its planner would keep samples of these columns in a catalogue of its own, where erasing does not reach.
        for table, column in (
            ("subjects", "subject"),
            ("subjects", "wrapped"),
            ("protected", "data"),
            ("payloads", "data"),
        ):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
