"""Which backends there are. A new one is one file and one line here; the conformance suite then runs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actum.errors import BadInput, near_miss
from actum.eventstore.blobs import open_blobs
from actum.eventstore.key_ring import open_key_ring
from actum.eventstore.protection import Vault
from actum.eventstore.protocol import EventStore

__all__ = ["STORES", "open_store"]


def _memory(url: str, tenant: str, vault: Vault) -> EventStore:
    from actum.eventstore.memory import MemoryStore

    return MemoryStore(tenant, vault=vault)


def _sqlite(url: str, tenant: str, vault: Vault) -> EventStore:
    from actum.eventstore.sqlite import SQLiteStore

    return SQLiteStore(url, tenant, vault=vault)


def _postgresql(url: str, tenant: str, vault: Vault) -> EventStore:
    try:
        from actum.eventstore.postgres import PostgresStore
    except ModuleNotFoundError as exc:
        if exc.name != "psycopg":
            raise
        raise BadInput("a PostgreSQL store needs psycopg: pip install 'actum[postgresql]'") from None
    return PostgresStore(url, tenant, vault=vault)


STORES: Final[dict[str, Callable[[str, str, Vault], EventStore]]] = {
    "memory": _memory,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
"""URL scheme → how to open it."""


def open_store(url: str, tenant: str = "default", *, keys: str = "", blobs: str = "") -> EventStore:
    """Open one tenant's log: `sqlite:///actum.db` makes the file when it is not there; `memory://` is for tests.

    `keys` names the key ring that wraps data keys: `file:PATH`, or `awskms:KEY_ID_OR_ALIAS`; without one payloads are
    stored plain. `blobs` names the place for payloads over 256 KiB: a folder, or `s3://bucket/prefix`; by default a
    folder beside the store's file.

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
    return make(url, tenant, Vault(open_key_ring(keys) if keys else None, open_blobs(blobs) if blobs else None))
