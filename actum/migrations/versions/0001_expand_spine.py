"""The spine: tenants, streams, events, payloads, the tree, checkpoints and two views."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int, key: int = 0) -> sa.types.TypeEngine[str]:
    """Text. PostgreSQL needs no length, and would refuse what is longer; MySQL needs one where it is in a `key`."""
    return _by_bytes(sa.String(length).with_variant(sa.Text(), "postgresql"), key)


def _by_bytes(kept: sa.types.TypeEngine[str], key: int = 0) -> sa.types.TypeEngine[str]:
    # By itself MySQL takes names that differ in case, or in spaces at the end, for the same.
    for dialect, collation in (("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin")):
        kind = mysql.VARCHAR(key, collation=collation) if key else mysql.TEXT(collation=collation)
        kept = kept.with_variant(kind, dialect)
    return kept


def _bytes(length: int = 0) -> sa.types.TypeEngine[bytes]:
    """Bytes; so many at most, where they are few."""
    on_mysql = mysql.VARBINARY(length) if length else mysql.LONGBLOB()
    return sa.LargeBinary(length or None).with_variant(on_mysql, "mysql", "mariadb")


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    indexed = op.get_bind().dialect.name != "duckdb"  # a scan of these columns is as fast there

    def refers(target: str) -> list[sa.ForeignKey]:
        # Only SQLite has them, where they say what belongs together and are not enforced: elsewhere every writer
        # would lock the one row of its tenant, for each event.
        return [sa.ForeignKey(target)] if on_sqlite else []

    op.create_table(
        "tenants",
        sa.Column("no", _Big, primary_key=True, autoincrement=False),
        sa.Column("name", _text(256, key=256), nullable=False, unique=True),
    )
    op.create_table(
        "streams",
        sa.Column("no", _Big, primary_key=True, autoincrement=False),
        sa.Column("tenant", _Big, *refers("tenants.no"), nullable=False),
        sa.Column("name", _text(512, key=512), nullable=False),
        sa.Column("version", _Big, nullable=False),
        sa.Column("last_leaf", _bytes(32), nullable=False),
        sa.UniqueConstraint("tenant", "name", name="streams_by_name"),
    )
    op.create_table(
        "events",
        sa.Column("seq", _Big, primary_key=True, autoincrement=False),
        sa.Column("tenant", _Big, *refers("tenants.no"), nullable=False),
        sa.Column("stream", _Big, *refers("streams.no"), nullable=False),
        sa.Column("version", _Big, nullable=False),
        sa.Column("id", _bytes(16), nullable=False),
        sa.Column("type", _text(64), nullable=False),
        sa.Column("header", _bytes(), nullable=False),
        sa.UniqueConstraint("stream", "version", name="events_by_stream"),
        sa.UniqueConstraint("tenant", "id", name="events_by_id"),
    )
    op.create_table(
        "payloads",
        sa.Column("seq", _Big, *refers("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("salt", _bytes(32), nullable=False),
        sa.Column("data", _bytes(), nullable=False),
    )
    op.create_table(
        "tree_state",
        sa.Column("tenant", _Big, *refers("tenants.no"), primary_key=True, autoincrement=False),
        sa.Column("size", _Big, nullable=False),
        sa.Column("frontier", _bytes(), nullable=False),
        sa.CheckConstraint("size >= 0", name="tree_state_size"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("tenant", _Big, *refers("tenants.no"), primary_key=True, autoincrement=False),
        sa.Column("size", _Big, primary_key=True, autoincrement=False),
        sa.Column("note", _by_bytes(sa.Text()), nullable=False),
    )
    op.create_table(
        "executions",
        sa.Column("tenant", _Big, primary_key=True, autoincrement=False),
        sa.Column("id", _text(256, key=502), primary_key=True),
        sa.Column("workflow", _text(256), nullable=False),
        sa.Column("definition", _text(128)),
        sa.Column("kind", _text(16), nullable=False),
        sa.Column("status", _text(16, key=16), nullable=False),
        sa.Column("waiting_for", _text(256)),
        sa.Column("owner", _text(256)),
        sa.Column("started_at", _text(27), nullable=False),
        sa.Column("ended_at", _text(27)),
        sa.Column("wake_us", _Big),
        sa.Column("error_type", _text(256)),
    )
    if indexed:
        op.create_index("executions_by_status", "executions", ["tenant", "status", "wake_us"])
    op.create_table(
        "approvals",
        sa.Column("tenant", _Big, primary_key=True, autoincrement=False),
        sa.Column("execution", _text(256, key=502), primary_key=True),
        sa.Column("approval", _text(256, key=256), primary_key=True),
        sa.Column("workflow", _text(256), nullable=False),
        sa.Column("status", _text(16, key=16), nullable=False),
        sa.Column("severity", _text(16), nullable=False),
        sa.Column("requested_at", _text(27, key=27), nullable=False),
        sa.Column("deadline", _text(27)),
        sa.Column("version", _Big, nullable=False),
    )
    if indexed:
        op.create_index("approvals_by_status", "approvals", ["tenant", "status", "requested_at"])
    dialect = op.get_bind().dialect.name
    if dialect not in ("sqlite", "mysql", "mariadb"):
        return
    # Defence in depth; the proof is the tree. TRUNCATE does not exist in SQLite; in MySQL it
    # is no matter of triggers, but of the privilege to drop the table.
    for table in ("events", "checkpoints"):
        for verb in ("UPDATE", "DELETE"):
            refusal = f"'{table} are never changed: {verb} refused'"
            act = (
                f"BEGIN SELECT RAISE(ABORT, {refusal}); END"
                if on_sqlite
                else f"FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = {refusal}"
            )
            op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {act}")
