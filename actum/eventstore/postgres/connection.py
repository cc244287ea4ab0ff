"""The one module that knows psycopg: connections without any session state, and its errors in our words.

Nothing outlives a transaction (no session settings, no advisory locks), so every statement may go through a pool that
gives each transaction another server connection. Only where there is none between, statements are prepared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from select import select
from typing import Any, Final

import psycopg
from psycopg import conninfo, errors
from psycopg.adapt import Dumper
from psycopg.pq import Format, TransactionStatus

from actum.errors import StoreRefused

__all__ = [
    "Connection",
    "DatabaseError",
    "bigints",
    "byteas",
    "connect",
    "constraint_of",
    "driver_connection",
    "in_transaction",
    "is_direct",
    "is_fence",
    "is_held",
    "is_lost",
    "is_missing_table",
    "is_passing",
    "is_value",
    "pipeline",
    "reason_of",
    "savepoint",
    "texts",
    "wait_told",
]

Connection = psycopg.Connection[tuple[Any, ...]]
DatabaseError = psycopg.Error

_INT8, _BYTEA, _TEXT = 20, 17, 25
_PREPARE_AFTER: Final = 2
"""Times that a statement is sent as text. Eight writers of single events are a quarter faster with prepared ones."""


def connect(url: str, parameters: Mapping[str, str]) -> Connection:
    """A connection that begins and ends its transactions by statements, and reads bytes as bytes.

    `url` is for messages. Raises `StoreRefused` when there is no way in.
    """
    try:
        con = psycopg.connect(
            conninfo.make_conninfo("", **parameters), autocommit=True, prepare_threshold=None, cursor_factory=_Cursor
        )
        if is_direct(con):
            con.prepare_threshold = _PREPARE_AFTER
    except DatabaseError as exc:
        raise StoreRefused(url, f"cannot be reached: {reason_of(exc)}") from exc
    _teach_arrays(con)
    return con


def is_direct(con: Connection) -> bool:
    """Whether the server process that answers is the one that greeted us.

    A pool that changes the one behind a connection has to greet with a number of its own, so that it can pass on a
    cancellation.
    """
    return con.execute("SELECT pg_backend_pid()").fetchall() == [(con.info.backend_pid,)]


def driver_connection(candidate: object) -> Connection | None:
    """Somebody else's psycopg connection, made ready for our statements; None when it is another driver's."""
    if not isinstance(candidate, psycopg.Connection):
        return None
    if candidate.info.transaction_status == TransactionStatus.IDLE:
        candidate.execute("SELECT 1")  # the driver begins its transaction with the first statement, not before
    _teach_arrays(candidate)
    return candidate


@contextmanager
def pipeline(con: Connection) -> Iterator[None]:
    """Statements are sent without waiting for the answers of those before; after an error none is done.

    Raises that error. psycopg's own would also log that the rest was not done.
    """
    first: DatabaseError | None = None
    try:
        with con.pipeline():
            try:
                yield
            except DatabaseError as exc:
                first = exc
    except DatabaseError as exc:
        first = first or exc
    if first is not None:
        con.prepare_threshold = None  # psycopg takes a statement that was not done for one that was prepared
        raise first from None


def in_transaction(con: Connection) -> bool:
    """Whether what is done now is done only when somebody commits it."""
    return con.info.transaction_status == TransactionStatus.INTRANS


def wait_told(con: Connection, timeout_s: float) -> bool:
    """Whether something was said on a channel that this connection hears; asks the server nothing."""
    if not select([con.fileno()], [], [], timeout_s)[0]:
        return False
    con.pgconn.consume_input()
    told = False
    while con.pgconn.notifies() is not None:
        told = True
    return told


def savepoint(con: Connection) -> AbstractContextManager[object]:
    """What is done inside is undone when it raises, and the transaction around it, which must be there, can go on."""
    return con.transaction()


def _teach_arrays(con: Connection) -> None:
    for kind, dumper in _ARRAYS.items():
        con.adapters.register_dumper(kind, dumper)


class _Cursor(psycopg.Cursor[tuple[Any, ...]]):
    def __init__(self, connection: Connection, **options: Any) -> None:  # Any: psycopg's own
        super().__init__(connection, **options)
        self.format = Format.BINARY


# -- arrays, many thousand of them a second ------------------------------------------------------------------------


class _Bigints(bytes):
    """A bigint[] as PostgreSQL receives it."""


class _Byteas(bytes):
    """A bytea[] as PostgreSQL receives it."""


class _Texts(bytes):
    """A text[] as PostgreSQL receives it."""


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return bytes(obj)


class _BigintsDumper(_ArrayDumper):
    oid = 1016


class _ByteasDumper(_ArrayDumper):
    oid = 1001


class _TextsDumper(_ArrayDumper):
    oid = 1009


_ARRAYS: Final[dict[type, type[Dumper]]] = {_Bigints: _BigintsDumper, _Byteas: _ByteasDumper, _Texts: _TextsDumper}
_length = struct.Struct(">i").pack
_NULL: Final = _length(-1)


def _head(count: int, oid: int, *, nulls: bool = False) -> bytes:
    return struct.pack(">iiiii", 1, nulls, oid, count, 1) if count else struct.pack(">iii", 0, 0, oid)


def bigints(values: Sequence[int | None]) -> bytes:
    """An array parameter. None is NULL."""
    count = len(values)
    if None in values:
        items = b"".join([_NULL if value is None else struct.pack(">iq", 8, value) for value in values])
        return _Bigints(_head(count, _INT8, nulls=True) + items)
    pairs = chain.from_iterable([(8, value) for value in values])
    return _Bigints(_head(count, _INT8) + struct.pack(">" + "iq" * count, *pairs))


def byteas(values: Sequence[bytes | None]) -> bytes:
    """An array parameter. None is NULL."""
    items = [_NULL if value is None else _length(len(value)) + value for value in values]
    return _Byteas(_head(len(values), _BYTEA, nulls=None in values) + b"".join(items))


def texts(values: Sequence[str | None]) -> bytes:
    """An array parameter. None is NULL. Raises `UnicodeEncodeError` for what is no text."""
    parts = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            raw = value.encode()
            parts.append(_length(len(raw)) + raw)
    return _Texts(_head(len(values), _TEXT, nulls=None in values) + b"".join(parts))


# -- errors ----------------------------------------------------------------------------------------------------------


def is_lost(exc: DatabaseError, con: Connection) -> bool:
    """Whether the connection is gone, so that what was asked may or may not have been done."""
    return con.closed or con.info.transaction_status == TransactionStatus.UNKNOWN or (exc.sqlstate or "")[:3] == "57P"


def is_held(exc: DatabaseError) -> bool:
    """Whether a lock was not to be had in the time that was given."""
    return isinstance(exc, errors.LockNotAvailable)


def is_passing(exc: DatabaseError) -> bool:
    """Whether the same transaction may well succeed when it is tried again."""
    return isinstance(exc, errors.DeadlockDetected | errors.SerializationFailure)


def is_fence(exc: DatabaseError) -> bool:
    """Whether the end of the log was not where a sequencer took it to be: `sequence.py` divides by zero then."""
    return isinstance(exc, errors.DivisionByZero) or constraint_of(exc) == "log_pkey"


def is_value(exc: DatabaseError) -> bool:
    """Whether the database could not take a value that it was given."""
    return isinstance(exc, errors.DataError)


def is_missing_table(exc: DatabaseError) -> bool:
    """Whether the table is not there."""
    return isinstance(exc, errors.UndefinedTable)


def constraint_of(exc: DatabaseError) -> str:
    """The unique constraint that a row would have broken; empty when it was something else."""
    return (exc.diag.constraint_name or "") if isinstance(exc, errors.UniqueViolation) else ""


def reason_of(exc: DatabaseError) -> str:
    """What went wrong, in one line."""
    # A server in recovery does not support what every transaction of ours begins with: READ WRITE.
    if isinstance(exc, errors.ReadOnlySqlTransaction | errors.FeatureNotSupported):
        return "it is read-only (a standby?)"
    if isinstance(exc, errors.DiskFull):
        return "its disk is full"
    text = exc.diag.message_primary or str(exc)
    line = next((line for line in text.splitlines() if "FATAL" in line), text.splitlines()[0] if text else repr(exc))
    return line.removeprefix("connection failed: ").strip()
