"""The tables of the SQL backends, as SQLAlchemy Core. The migrations must build exactly this; a test compares.

`seq` is the tenant's number times 2^40 plus the position in that tenant's log, so every key starts with the tenant
and, for the first tenant of a file, is the position itself.

Where a sequencer gives the positions (PostgreSQL), an event is written before it has one. There `events.seq` and
`payloads.seq` (and `protected.seq`) are the number of the batch that brought the event times 2^20 plus its place in
the batch, and `log` says which event is at which position.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

__all__ = ["NEVER_CHANGED", "metadata", "tables_for"]

metadata = MetaData()
_Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid alias must be spelled INTEGER


def _text(length: int) -> TypeEngine[str]:
    return String(length).with_variant(Text(), "postgresql")  # which needs no length, and would refuse what is longer


def _refers(column: str, target: str) -> ForeignKeyConstraint:
    # Only SQLite has them, where they say what belongs together and are not enforced: elsewhere every writer
    # would lock the one row of its tenant, for each event.
    return ForeignKeyConstraint([column], [target]).ddl_if(dialect="sqlite")


tenants = Table(
    "tenants",
    metadata,
    Column("no", _Big, primary_key=True, autoincrement=False),
    Column("name", _text(256), nullable=False, unique=True),
)
streams = Table(
    "streams",
    metadata,
    Column("no", _Big, primary_key=True, autoincrement=False),
    Column("tenant", _Big, nullable=False),
    Column("name", _text(512), nullable=False),
    Column("version", _Big, nullable=False),
    Column("last_leaf", LargeBinary(32), nullable=False),
    UniqueConstraint("tenant", "name", name="streams_by_name"),
    _refers("tenant", "tenants.no"),
)
events = Table(
    "events",
    metadata,
    Column("seq", _Big, primary_key=True, autoincrement=False),
    Column("tenant", _Big, nullable=False),
    Column("stream", _Big, nullable=False),
    Column("version", _Big, nullable=False),
    Column("id", LargeBinary(16), nullable=False),
    Column("type", _text(64), nullable=False),
    Column("header", LargeBinary, nullable=False),
    UniqueConstraint("stream", "version", name="events_by_stream"),
    UniqueConstraint("tenant", "id", name="events_by_id"),
    _refers("tenant", "tenants.no"),
    _refers("stream", "streams.no"),
)
payloads = Table(
    "payloads",
    metadata,
    Column("seq", _Big, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("data", LargeBinary, nullable=False),
    _refers("seq", "events.seq"),
)
subjects = Table(
    "subjects",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("key", LargeBinary(16), primary_key=True),
    Column("subject", _text(512)),  # with the wrapped key, gone when it was destroyed
    Column("wrapped", LargeBinary),
    Column("created_at", _text(27), nullable=False),
    Column("destroyed_at", _text(27)),
    UniqueConstraint("tenant", "subject", name="subjects_by_name"),
    _refers("tenant", "tenants.no"),
)
protected = Table(
    "protected",
    metadata,
    Column("seq", _Big, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("tenant", _Big, nullable=False),
    Column("key", LargeBinary(16)),
    Column("form", Integer, nullable=False),
    Column("data", LargeBinary),
    Column("place", _text(64)),
    Index("protected_by_key", "tenant", "key"),
    Index("protected_by_place", "tenant", "place"),
    _refers("seq", "events.seq"),
    _refers("tenant", "tenants.no"),
)
tree_state = Table(
    "tree_state",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("size", _Big, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    CheckConstraint("size >= 0", name="tree_state_size"),
    _refers("tenant", "tenants.no"),
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("size", _Big, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    _refers("tenant", "tenants.no"),
)
executions = Table(
    "executions",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("id", _text(256), primary_key=True),
    Column("workflow", _text(256), nullable=False),
    Column("definition", _text(128)),
    Column("kind", _text(16), nullable=False),
    Column("status", _text(16), nullable=False),
    Column("waiting_for", _text(256)),
    Column("owner", _text(256)),
    Column("started_at", _text(27), nullable=False),
    Column("ended_at", _text(27)),
    Column("wake_us", _Big),
    Column("error_type", _text(256)),
    Index("executions_by_status", "tenant", "status", "wake_us"),
)
approvals = Table(
    "approvals",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("execution", _text(256), primary_key=True),
    Column("approval", _text(256), primary_key=True),
    Column("workflow", _text(256), nullable=False),
    Column("status", _text(16), nullable=False),
    Column("severity", _text(16), nullable=False),
    Column("requested_at", _text(27), nullable=False),
    Column("deadline", _text(27)),
    Column("version", _Big, nullable=False),
    Index("approvals_by_status", "tenant", "status", "requested_at"),
)

# -- only where a sequencer gives the positions ------------------------------------------------------------------------

batches = Sequence("batches", metadata=metadata)  # a batch takes its number after its streams are locked
log = Table(
    "log",
    metadata,
    Column("seq", _Big, primary_key=True, autoincrement=False),
    Column("event", _Big, nullable=False, unique=True),
)
pending = Table(
    "pending",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("batch", _Big, primary_key=True, autoincrement=False),
    Column("leaves", LargeBinary, nullable=False),
)
leases = Table(
    "leases",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("name", _text(256), primary_key=True),
    Column("holder", _text(64), nullable=False),
    Column("epoch", _Big, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)

_SEQUENCED: Final = ("log", "pending", "leases")

NEVER_CHANGED: Final = ("events", "log", "checkpoints")
"""Tables whose rows are written once. Nobody needs UPDATE, DELETE or TRUNCATE on them, and triggers refuse it."""


def tables_for(dialect: str) -> list[Table]:
    """The tables that a backend of this dialect has."""
    return [table for table in metadata.sorted_tables if dialect != "sqlite" or table.name not in _SEQUENCED]
