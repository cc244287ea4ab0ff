"""Payloads that are kept apart from their headers: whose data keys there are, and the boxes under them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int, key: int = 0) -> sa.types.TypeEngine[str]:
    """Text, as in 0001."""
    kept = sa.String(length).with_variant(sa.Text(), "postgresql")
    for dialect, collation in (("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin")):
        kind = mysql.VARCHAR(key, collation=collation) if key else mysql.TEXT(collation=collation)
        kept = kept.with_variant(kind, dialect)
    return kept


def _bytes(length: int = 0) -> sa.types.TypeEngine[bytes]:
    on_mysql = mysql.VARBINARY(length) if length else mysql.LONGBLOB()
    return sa.LargeBinary(length or None).with_variant(on_mysql, "mysql", "mariadb")


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"

    def refers(target: str) -> list[sa.ForeignKey]:
        return [sa.ForeignKey(target)] if on_sqlite else []

    op.create_table(
        "subjects",
        sa.Column("tenant", _Big, *refers("tenants.no"), primary_key=True, autoincrement=False),
        sa.Column("key", _bytes(16), primary_key=True),
        sa.Column("subject", _text(512, key=512)),
        sa.Column("wrapped", _bytes()),
        sa.Column("created_at", _text(27), nullable=False),
        sa.Column("destroyed_at", _text(27)),
        sa.UniqueConstraint("tenant", "subject", name="subjects_by_name"),
    )
    op.create_table(
        "protected",
        sa.Column("seq", _Big, *refers("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tenant", _Big, *refers("tenants.no"), nullable=False),
        sa.Column("key", _bytes(16)),
        sa.Column("form", sa.Integer(), nullable=False),
        sa.Column("data", _bytes()),
        sa.Column("place", _text(64, key=64)),
    )
    if op.get_bind().dialect.name != "duckdb":  # a scan of these columns is as fast there
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
