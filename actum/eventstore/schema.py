"""The tables of the SQL backends, as SQLAlchemy Core. The migrations must build exactly this; a test compares.

`seq` is the tenant's number times 2^40 plus the position in that tenant's log, so every key starts with the tenant
and, for the first tenant of a file, is the position itself.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["metadata"]

metadata = MetaData()
_Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid alias must be spelled INTEGER

tenants = Table(
    "tenants",
    metadata,
    Column("no", _Big, primary_key=True, autoincrement=False),
    Column("name", String(256), nullable=False, unique=True),
)
streams = Table(
    "streams",
    metadata,
    Column("no", _Big, primary_key=True, autoincrement=False),
    Column("tenant", _Big, ForeignKey("tenants.no"), nullable=False),
    Column("name", String(512), nullable=False),
    Column("version", _Big, nullable=False),
    Column("last_leaf", LargeBinary(32), nullable=False),
    UniqueConstraint("tenant", "name", name="streams_by_name"),
)
events = Table(
    "events",
    metadata,
    Column("seq", _Big, primary_key=True, autoincrement=False),
    Column("tenant", _Big, ForeignKey("tenants.no"), nullable=False),
    Column("stream", _Big, ForeignKey("streams.no"), nullable=False),
    Column("version", _Big, nullable=False),
    Column("id", LargeBinary(16), nullable=False),
    Column("type", String(64), nullable=False),
    Column("header", LargeBinary, nullable=False),
    UniqueConstraint("stream", "version", name="events_by_stream"),
    UniqueConstraint("tenant", "id", name="events_by_id"),
)
payloads = Table(
    "payloads",
    metadata,
    Column("seq", _Big, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
tree_state = Table(
    "tree_state",
    metadata,
    Column("tenant", _Big, ForeignKey("tenants.no"), primary_key=True, autoincrement=False),
    Column("size", _Big, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    CheckConstraint("size >= 0", name="tree_state_size"),
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tenant", _Big, ForeignKey("tenants.no"), primary_key=True, autoincrement=False),
    Column("size", _Big, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
executions = Table(
    "executions",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("id", String(256), primary_key=True),
    Column("workflow", String(256), nullable=False),
    Column("definition", String(128)),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("waiting_for", String(256)),
    Column("owner", String(256)),
    Column("started_at", String(27), nullable=False),
    Column("ended_at", String(27)),
    Column("wake_us", _Big),
    Column("error_type", String(256)),
    Index("executions_by_status", "tenant", "status", "wake_us"),
)
approvals = Table(
    "approvals",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("execution", String(256), primary_key=True),
    Column("approval", String(256), primary_key=True),
    Column("workflow", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("requested_at", String(27), nullable=False),
    Column("deadline", String(27)),
    Column("version", _Big, nullable=False),
    Index("approvals_by_status", "tenant", "status", "requested_at"),
)
