"""Databases of their own for tests, on a MySQL or MariaDB server that is there for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from actum.eventstore.mysql import connection as mysql_connection
from actum.eventstore.mysql.connection import Connection, close
from actum.eventstore.mysql.open import parse_url
from actum.eventstore.tables.schema import NEVER_CHANGED, tables_for

__all__ = ["SERVER", "ask", "database", "server_is_there", "session", "wipe"]

SERVER = os.environ.get("ACTUM_TEST_MYSQL", "mysql://root@127.0.0.1:3306/mysql")
"""A database of the server beside which others may be made. It is not written to itself."""


def session(url: str) -> Connection:
    """A connection to the database of a store, for doing to it what the store would not."""
    return parse_url(url).connect()


def ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last of these statements; none when it is one that has none."""
    con = session(url)
    try:
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            rows = mysql_connection.ask(con, statement)
        return rows
    finally:
        close(con)


def server_is_there() -> str:
    """Empty when the server answers, else why it does not."""
    try:
        ask(SERVER, "SELECT 1")
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is said
        return str(exc)
    return ""


@contextmanager
def database(server: str = SERVER) -> Iterator[str]:
    """The URL of an empty database that nobody else knows; it is dropped afterwards.

    Its default character set is not ours, so that nothing may rest on it.
    """
    name = f"actum_test_{os.getpid()}_{os.urandom(4).hex()}"
    ask(server, f"CREATE DATABASE {name} CHARACTER SET latin1")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        ask(server, f"DROP DATABASE {name}")


def wipe(url: str) -> None:
    """Take every row out of a store, as no application should be able to: much quicker than another database."""
    if ask(url, "SELECT 1 FROM checkpoints LIMIT 1"):
        ask(url, "TRUNCATE checkpoints")  # triggers are not asked; but it is slow
    others = [table.name for table in tables_for("mysql") if table.name not in NEVER_CHANGED]
    ask(
        url,
        "START TRANSACTION",
        f"REPLACE INTO floors SELECT no, {1 << 40}, '' FROM tenants",  # events below the floor may be deleted
        "DELETE FROM events",
        *[f"DELETE FROM {name}" for name in others],
        "COMMIT",
    )
