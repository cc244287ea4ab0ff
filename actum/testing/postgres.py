"""Databases of their own for tests, on a PostgreSQL server that is there for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from actum.eventstore.postgres.connection import Connection, connect
from actum.eventstore.postgres.open import parse_url

__all__ = ["SERVER", "ask", "database", "server_is_there", "session", "wipe"]

SERVER = os.environ.get("ACTUM_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
"""A database of the server in which others may be made. It is not written to itself."""


def session(url: str) -> Connection:
    """A connection to the database of a store, for doing to it what the store would not."""
    address = parse_url(url)
    return connect(address.shown, address.parameters)


def ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last of these statements; none when it is one that has none."""
    con = session(url)
    try:
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            done = con.execute(statement.encode())
            rows = done.fetchall() if done.description else []
        return rows
    finally:
        con.close()


def server_is_there() -> str:
    """Empty when the server answers, else why it does not."""
    try:
        ask(SERVER, "SELECT 1")
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is said
        return str(exc)
    return ""


@contextmanager
def database(server: str = SERVER) -> Iterator[str]:
    """The URL of an empty database that nobody else knows; it is dropped afterwards."""
    name = f"actum_test_{os.getpid()}_{os.urandom(4).hex()}"
    ask(server, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        ask(server, f"DROP DATABASE {name} WITH (FORCE)")


def wipe(url: str) -> None:
    """Take every row out of a store, as no application could: much quicker than another database."""
    con = session(url)
    try:
        con.execute("BEGIN")
        con.execute("SELECT set_config('session_replication_role', 'replica', true)")
        tables = con.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchall()
        for (table,) in tables:
            con.execute(f"DELETE FROM {table}".encode())
        con.execute("COMMIT")
    finally:
        con.close()
