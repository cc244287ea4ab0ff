"""The one module that knows PyMySQL: connections whose settings are ours, not the server's, and its errors."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeAlias

import pymysql
import pymysql.connections
from pymysql.constants import ER
from pymysql.err import MySQLError

from actum.errors import StoreRefused

__all__ = [
    "Connection",
    "DatabaseError",
    "ask",
    "close",
    "connect",
    "constraint_of",
    "do",
    "do_many",
    "is_held",
    "is_lost",
    "is_missing_table",
    "is_passing",
    "is_value",
    "marked",
    "reason_of",
]

Connection: TypeAlias = "pymysql.Connection[pymysql.cursors.Cursor]"
DatabaseError = MySQLError

# Texts are refused, not cut; and no mode may change what a quote or a backslash in a statement means.
_SQL_MODE: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_SETTINGS: Final = "SET sql_mode = %s, time_zone = '+00:00', innodb_lock_wait_timeout = %s, lock_wait_timeout = %s"
# A snapshot for each statement: one taken before the end of the log was locked would be of an older log.
_ISOLATION: Final = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, "

_CONNECTION_KILLED, _IDLE_TOO_LONG, _KILLED_FOR_IDLING = 1927, 4031, 3169
_GONE, _LOST = 2006, 2013
_LOST_CODES: Final = frozenset(
    {_GONE, _LOST, _CONNECTION_KILLED, _IDLE_TOO_LONG, _KILLED_FOR_IDLING, ER.SERVER_SHUTDOWN}
)
_VALUES: Final = frozenset({ER.DATA_TOO_LONG, ER.TRUNCATED_WRONG_VALUE_FOR_FIELD, ER.WARN_DATA_OUT_OF_RANGE})


@cache
def _any_server() -> ssl.SSLContext:
    """What encrypts a connection whose server nobody asked to verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Encrypted(pymysql.connections.Connection):
    """Without TLS options the driver would load all authorities of the system for each connection, and ask none."""

    def _create_ssl_ctx(self, sslp: Mapping[str, Any]) -> ssl.SSLContext:
        return super()._create_ssl_ctx(sslp) if sslp else _any_server()  # type: ignore[misc]  # not in its stubs


def connect(url: str, parameters: Mapping[str, Any], busy_s: float, *, read_only: bool = False) -> Connection:
    """A connection on which each statement is a transaction of its own, unless one is begun.

    It waits `busy_s`, rounded up to whole seconds, for what another transaction holds. `url` is for messages. Raises
    `StoreRefused` when there is no way in.
    """
    try:
        # Any in `parameters`: each of the driver's has its own type.
        con = _Encrypted(**parameters, charset="utf8mb4", autocommit=True)
    except (DatabaseError, OSError) as exc:
        raise StoreRefused(url, f"cannot be reached: {reason_of(exc)}") from exc
    wait_s = max(math.ceil(busy_s), 1)
    try:
        do(con, _SETTINGS, (_SQL_MODE, wait_s, wait_s))
        do(con, _ISOLATION + ("READ ONLY" if read_only else "READ WRITE"))
    except DatabaseError as exc:
        close(con)
        raise StoreRefused(url, f"cannot be used: {reason_of(exc)}") from exc
    return con


def close(con: Connection) -> None:
    """Let go of it, whatever state it is in; somebody else may be doing so at the same time."""
    if con.open:
        with suppress(DatabaseError):
            con.close()


def marked(sql: str) -> str:
    """A statement with `?` where values go, and nowhere else, as the driver wants it."""
    return sql.replace("?", "%s")


def ask(con: Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query with `%s` where the values go."""
    with con.cursor() as cursor:
        cursor.execute(sql, tuple(values) or None)
        return list(cursor.fetchall())


def do(con: Connection, sql: str, values: Sequence[Any] = ()) -> int:
    """Execute a statement; returns how many rows it changed."""
    with con.cursor() as cursor:
        return cursor.execute(sql, tuple(values) or None)


def do_many(con: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Execute `INSERT … VALUES (%s, …)` for many rows, in statements of at most 1,024,000 bytes or one row."""
    with con.cursor() as cursor:
        cursor.executemany(sql, rows)


# -- errors ----------------------------------------------------------------------------------------------------------


def _code(exc: BaseException) -> int:
    return exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0


def is_lost(exc: DatabaseError, con: Connection) -> bool:
    """Whether the connection is gone, so that what was asked may or may not have been done."""
    return not con.open or isinstance(exc, pymysql.InterfaceError) or _code(exc) in _LOST_CODES


def is_held(exc: DatabaseError) -> bool:
    """Whether a lock was not to be had in the time that was given."""
    return _code(exc) == ER.LOCK_WAIT_TIMEOUT


def is_passing(exc: DatabaseError) -> bool:
    """Whether the server undid the transaction, and the same one may well succeed when it is tried again."""
    return _code(exc) == ER.LOCK_DEADLOCK


def is_value(exc: DatabaseError) -> bool:
    """Whether the database could not take a value that it was given."""
    return _code(exc) in _VALUES


def is_missing_table(exc: DatabaseError) -> bool:
    """Whether the table is not there."""
    return _code(exc) == ER.NO_SUCH_TABLE


def constraint_of(exc: DatabaseError) -> str:
    """The unique key that a row would have broken; empty when it was something else."""
    found = re.search(r"for key '(?:[^'.]+\.)?([^'.]+)'$", str(exc.args[-1])) if _code(exc) == ER.DUP_ENTRY else None
    return found[1] if found else ""


def reason_of(exc: BaseException) -> str:
    """What went wrong, in one line."""
    text = str(exc.args[1]) if len(exc.args) > 1 and exc.args[1] else str(exc)
    return text.splitlines()[0].strip() if text.strip("(), 0'") else "the connection was lost"
