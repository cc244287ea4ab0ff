"""Which backends there are. A new one is one file and one line here; the conformance suite then runs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actum.errors import BadInput, near_miss
from actum.eventstore.payloads.vault import Vault, open_vault
from actum.eventstore.protocol import EventStore
from actum.eventstore.tables.server_url import without_password

__all__ = ["STORES", "open_store"]


def _memory(url: str, tenant: str, vault: Vault) -> EventStore:
    from actum.eventstore.memory import MemoryStore

    return MemoryStore(tenant, vault=vault)


def _duckdb(url: str, tenant: str, vault: Vault) -> EventStore:
    try:
        from actum.eventstore.duckdb.store import DuckDBStore
    except ModuleNotFoundError as exc:
        if exc.name != "duckdb":
            raise
        raise BadInput("a DuckDB store needs duckdb: pip install 'actum[duckdb]'") from None
    return DuckDBStore(url, tenant, vault=vault)


def _sqlite(url: str, tenant: str, vault: Vault) -> EventStore:
    from actum.eventstore.sqlite.store import SQLiteStore

    return SQLiteStore(url, tenant, vault=vault)


def _postgresql(url: str, tenant: str, vault: Vault) -> EventStore:
    try:
        from actum.eventstore.postgres.store import PostgresStore
    except ModuleNotFoundError as exc:
        if exc.name != "psycopg":
            raise
        raise BadInput("a PostgreSQL store needs psycopg: pip install 'actum[postgresql]'") from None
    return PostgresStore(url, tenant, vault=vault)


def _mysql(url: str, tenant: str, vault: Vault) -> EventStore:
    try:
        from actum.eventstore.mysql.store import MySQLStore
    except ModuleNotFoundError as exc:
        if exc.name != "pymysql":
            raise
        raise BadInput("a MySQL or MariaDB store needs PyMySQL: pip install 'actum[mysql]'") from None
    return MySQLStore(url, tenant, vault=vault)


STORES: Final[dict[str, Callable[[str, str, Vault], EventStore]]] = {
    "duckdb": _duckdb,
    "memory": _memory,
    "mysql": _mysql,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
"""URL scheme → how to open it."""
ALIASES: Final = {"mariadb": "mysql"}
"""Other names of URL schemes."""


def open_store(url: str, tenant: str = "default", *, keys: str = "", blobs: str = "") -> EventStore:
    """Open one tenant's log: `sqlite:///actum.db` makes the file when it is not there; `memory://` is for tests.

    `keys` names the key ring that wraps data keys: `file:PATH`, or `awskms:KEY_ID_OR_ALIAS`; without one payloads are
    stored plain. `blobs` names the place for payloads over 256 KiB: a folder, or `s3://bucket/prefix`; by default a
    folder beside the store's file.

    Raises `BadInput` for a URL of no known kind, `StoreRefused` when there is something else, or something newer.
    """
    scheme, colon, _ = url.partition("://")
    if not colon:
        raise BadInput(f"{without_password(url)!r} is not a store URL; write for example sqlite:///actum.db")
    make = STORES.get(ALIASES.get(scheme, scheme))
    if make is None:
        known = sorted([*STORES, *ALIASES])
        raise BadInput(
            f"{without_password(url)!r}: no store of kind {scheme!r}{near_miss(scheme, known)}; "
            f"known: {', '.join(known)}"
        )
    if not tenant or not tenant.isprintable() or len(tenant) > 256:
        raise BadInput(f"{tenant!r} is not a tenant's name: 1 to 256 printable characters")
    return make(url, tenant, open_vault(keys, blobs))
