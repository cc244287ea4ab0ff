"""Which backends there are. A new one is one file and one line here; the conformance suite then runs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actum.errors import BadInput, near_miss
from actum.eventstore.protocol import EventStore

__all__ = ["STORES", "open_store"]


def _memory(url: str, tenant: str) -> EventStore:
    from actum.eventstore.memory import MemoryStore

    return MemoryStore(tenant)


def _duckdb(url: str, tenant: str) -> EventStore:
    try:
        from actum.eventstore.duckdb_store import DuckDBStore
    except ModuleNotFoundError as exc:
        if exc.name != "duckdb":
            raise
        raise BadInput("a DuckDB store needs duckdb: pip install 'actum[duckdb]'") from None
    return DuckDBStore(url, tenant)


def _sqlite(url: str, tenant: str) -> EventStore:
    from actum.eventstore.sqlite import SQLiteStore

    return SQLiteStore(url, tenant)


def _postgresql(url: str, tenant: str) -> EventStore:
    try:
        from actum.eventstore.postgres import PostgresStore
    except ModuleNotFoundError as exc:
        if exc.name != "psycopg":
            raise
        raise BadInput("a PostgreSQL store needs psycopg: pip install 'actum[postgresql]'") from None
    return PostgresStore(url, tenant)


STORES: Final[dict[str, Callable[[str, str], EventStore]]] = {
    "duckdb": _duckdb,
    "memory": _memory,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
"""URL scheme → how to open it."""


def open_store(url: str, tenant: str = "default") -> EventStore:
    """Open one tenant's log: `sqlite:///actum.db` makes the file when it is not there; `memory://` is for tests.

    Raises `BadInput` for a URL of no known kind, `StoreRefused` when there is something else, or something newer.
    """
    scheme, colon, _ = url.partition("://")
    if not colon:
        raise BadInput(f"{url!r} is not a store URL; write for example sqlite:///actum.db")
    make = STORES.get(scheme)
    if make is None:
        raise BadInput(f"{url!r}: no store of kind {scheme!r}{near_miss(scheme, STORES)}; known: {', '.join(STORES)}")
    if not tenant or not tenant.isprintable() or len(tenant) > 256:
        raise BadInput(f"{tenant!r} is not a tenant's name: 1 to 256 printable characters")
    return make(url, tenant)
