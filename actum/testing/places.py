"""Where the stores of one kind can be opened, and what this kind can do beyond the protocol. By name, never by type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from actum.eventstore import EventStore, open_store

__all__ = ["CAPABILITIES", "Place"]

CAPABILITIES: Final[dict[str, frozenset[str]]] = {
    "duckdb": frozenset({"survives", "shared", "groups"}),
    "memory": frozenset(),
    "mysql": frozenset({"survives", "shared", "groups"}),
    "postgresql": frozenset({"survives", "shared", "groups"}),
    "sqlite": frozenset({"survives", "shared", "groups"}),
}
"""Scheme → `survives`: what was written is there after closing; `shared`: one place holds the logs of many tenants;
`groups`: what waits is committed together by a writer thread."""


@dataclass
class Place:
    """Where stores of one kind can be opened, again and again when they survive."""

    scheme: str
    url: str
    opened: list[EventStore] = field(default_factory=list)

    def open(self, tenant: str = "default", *, keys: str = "", blobs: str = "") -> EventStore:
        """A store here, of this tenant, with this key ring and this place for blobs; it is closed with the place."""
        store = open_store(self.url, tenant, keys=keys, blobs=blobs)
        self.opened.append(store)
        return store

    def can(self, capability: str) -> bool:
        """Whether this kind of store has a capability."""
        return capability in CAPABILITIES[self.scheme]

    def close(self) -> None:
        """Close everything that was opened here."""
        for store in self.opened:
            store.close()
