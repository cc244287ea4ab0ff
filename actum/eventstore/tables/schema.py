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
    Dialect,
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
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

__all__ = ["NEVER_CHANGED", "OWNERS_ONLY", "metadata", "tables_for"]

metadata = MetaData()
_Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid alias must be spelled INTEGER


def _text(length: int, key: int = 0) -> TypeEngine[str]:
    """Text. PostgreSQL needs no length, and would refuse what is longer; MySQL needs one where it is in a `key`."""
    return _by_bytes(String(length).with_variant(Text(), "postgresql"), key)


def _by_bytes(kept: TypeEngine[str], key: int = 0) -> TypeEngine[str]:
    """Text that MySQL compares byte by byte; by itself it takes names that differ in case or end in spaces for one."""
    for dialect, collation in (("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin")):
        kind = mysql.VARCHAR(key, collation=collation) if key else mysql.TEXT(collation=collation)
        kept = kept.with_variant(kind, dialect)
    return kept


def _bytes(length: int = 0) -> TypeEngine[bytes]:
    """Bytes; so many at most, where they are few."""
    on_mysql = mysql.VARBINARY(length) if length else mysql.LONGBLOB()
    return LargeBinary(length or None).with_variant(on_mysql, "mysql", "mariadb")


def _refers(column: str, target: str) -> ForeignKeyConstraint:
    # Only SQLite has them, where they say what belongs together and are not enforced: elsewhere every writer
    # would lock the one row of its tenant, for each event.
    return ForeignKeyConstraint([column], [target]).ddl_if(dialect="sqlite")


def _has_indexes(*_: object, dialect: Dialect, **__: object) -> bool:
    return dialect.name != "duckdb"  # which scans the few columns as fast, and rewrites a row whose index changes


tenants = Table(
    "tenants",
    metadata,
    Column("no", _Big, primary_key=True, autoincrement=False),
    Column("name", _text(256, key=256), nullable=False, unique=True),
)
streams = Table(
    "streams",
    metadata,
    Column("no", _Big, primary_key=True, autoincrement=False),
    Column("tenant", _Big, nullable=False),
    Column("name", _text(512, key=512), nullable=False),
    Column("version", _Big, nullable=False),
    Column("last_leaf", _bytes(32), nullable=False),
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
    Column("id", _bytes(16), nullable=False),
    Column("type", _text(64), nullable=False),
    Column("header", _bytes(), nullable=False),
    UniqueConstraint("stream", "version", name="events_by_stream"),
    UniqueConstraint("tenant", "id", name="events_by_id"),
    _refers("tenant", "tenants.no"),
    _refers("stream", "streams.no"),
)
payloads = Table(
    "payloads",
    metadata,
    Column("seq", _Big, primary_key=True, autoincrement=False),
    Column("salt", _bytes(32), nullable=False),
    Column("data", _bytes(), nullable=False),
    _refers("seq", "events.seq"),
)
subjects = Table(
    "subjects",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("key", _bytes(16), primary_key=True),
    Column("subject", _text(512, key=512)),  # with the wrapped key, gone when it was destroyed
    Column("wrapped", _bytes()),
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
    Column("key", _bytes(16)),
    Column("form", Integer, nullable=False),
    Column("data", _bytes()),
    Column("place", _text(64, key=64)),
    Index("protected_by_key", "tenant", "key").ddl_if(callable_=_has_indexes),
    Index("protected_by_place", "tenant", "place").ddl_if(callable_=_has_indexes),
    _refers("seq", "events.seq"),
    _refers("tenant", "tenants.no"),
)
tree_state = Table(
    "tree_state",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("size", _Big, nullable=False),
    Column("frontier", _bytes(), nullable=False),
    CheckConstraint("size >= 0", name="tree_state_size"),
    _refers("tenant", "tenants.no"),
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("size", _Big, primary_key=True, autoincrement=False),
    Column("note", _by_bytes(Text()), nullable=False),
    _refers("tenant", "tenants.no"),
)
floors = Table(
    "floors",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("position", _Big, nullable=False),
    Column("frontier", _bytes(), nullable=False),
    CheckConstraint("position >= 0", name="floors_position"),
    _refers("tenant", "tenants.no"),
)
departed = Table(  # which versions of a stream are in which segment of the archive
    "departed",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("stream", _Big, primary_key=True, autoincrement=False),
    Column("start", _Big, primary_key=True, autoincrement=False),
    Column("until", _Big, nullable=False),
    Column("segment", _Big, nullable=False),
    _refers("tenant", "tenants.no"),
    _refers("stream", "streams.no"),
)
executions = Table(
    "executions",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("id", _text(256, key=502), primary_key=True),
    Column("workflow", _text(256), nullable=False),
    Column("definition", _text(128)),
    Column("kind", _text(16), nullable=False),
    Column("status", _text(16, key=16), nullable=False),
    Column("waiting_for", _text(256)),
    Column("owner", _text(256)),
    Column("started_at", _text(27), nullable=False),
    Column("ended_at", _text(27)),
    Column("wake_us", _Big),
    Column("error_type", _text(256)),
    Column("priority", _Big),
    Column("labels", _text(16_384)),
    Index("executions_by_status", "tenant", "status", "wake_us").ddl_if(callable_=_has_indexes),
)
approvals = Table(
    "approvals",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("execution", _text(256, key=502), primary_key=True),
    Column("approval", _text(256, key=256), primary_key=True),
    Column("workflow", _text(256), nullable=False),
    Column("status", _text(16, key=16), nullable=False),
    Column("severity", _text(16), nullable=False),
    Column("requested_at", _text(27, key=27), nullable=False),
    Column("deadline", _text(27)),
    Column("version", _Big, nullable=False),
    Index("approvals_by_status", "tenant", "status", "requested_at").ddl_if(callable_=_has_indexes),
)

# -- not on SQLite: `leases` and `resources` where many machines may share a store, the others where a sequencer
# gives positions

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
    Column("leaves", _bytes(), nullable=False),
)
leases = Table(
    "leases",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("name", _text(256, key=256), primary_key=True),
    Column("holder", _text(64), nullable=False),
    Column("epoch", _Big, nullable=False),
    Column("until", DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"), nullable=False),
    Column("about", _text(4000)),  # what a worker says of itself
)
resources = Table(  # what the workers share; see `shared_book.py`
    "resources",
    metadata,
    Column("tenant", _Big, primary_key=True, autoincrement=False),
    Column("version", _Big, nullable=False),
    Column("book", _bytes(), nullable=False),
)

_ONLY: Final = {
    "log": ("postgresql",),
    "pending": ("postgresql",),
    "leases": ("postgresql", "mysql", "mariadb"),
    "resources": ("postgresql", "mysql", "mariadb"),
}
"""Tables that only these dialects have."""

NEVER_CHANGED: Final = ("events", "log", "checkpoints")
"""Tables whose rows are written once. Applications need no UPDATE, DELETE or TRUNCATE on them, and triggers refuse it.

Only rows of events below the tenant's floor, which are in the archive, can be deleted; that is the owner's work.
"""
OWNERS_ONLY: Final = ("floors", "departed")
"""Tables that say what has left for the archive. Applications read them."""


def tables_for(dialect: str) -> list[Table]:
    """The tables that a backend of this dialect has."""
    return [table for table in metadata.sorted_tables if dialect in _ONLY.get(table.name, (dialect,))]
