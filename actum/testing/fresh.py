"""As many empty logs of one kind of store as a test needs, all under a clock that the test moves.

Logs of the same events under the same clock are the same bytes, so one can stand for a backup of another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actum.eventstore import EventStore, open_store
from actum.testing.builders import batch
from actum.testing.clock import ManualClock

__all__ = ["FreshLogs", "add"]


def add(store: EventStore, start: int, end: int, name: str = "e") -> None:
    """The events of these numbers, round-robin over three streams, without payloads."""
    for i in range(start, end):
        store.append(batch(f"{name}{i}", stream=f"s/{i % 3}"))


class FreshLogs:
    """Opens logs of one kind; all are closed with it. `database(n)` is the URL of the n-th empty PostgreSQL store."""

    def __init__(self, kind: str, folder: Path, database: Callable[[int], str]) -> None:
        self.kind = kind
        self._folder = folder
        self._database = database
        self._opened: list[EventStore] = []
        self._urls: dict[EventStore, str] = {}

    def of(self, count: int, name: str = "e", clock: ManualClock | None = None) -> EventStore:
        """A log of so many events."""
        store = self._open(clock or ManualClock())
        self._opened.append(store)
        add(store, 0, count, name)
        return store

    def again(self, store: EventStore) -> EventStore:
        """The same log, opened once more, as another process would; in memory there is only the one."""
        if self.kind == "memory":
            return store
        self._opened.append(open_store(self._urls[store]))
        return self._opened[-1]

    def _open(self, clock: ManualClock) -> EventStore:
        number = len(self._opened)
        if self.kind == "memory":
            from actum.eventstore.memory import MemoryStore

            return MemoryStore(clock=clock)
        if self.kind == "sqlite":
            from actum.eventstore.sqlite.store import SQLiteStore

            url = f"sqlite:///{self._folder}/log{number}.db"
            store: EventStore = SQLiteStore(url, clock=clock)
        else:
            from actum.eventstore.postgres.store import PostgresStore

            url = self._database(number)
            store = PostgresStore(url, clock=clock)
        self._urls[store] = url
        return store

    def close(self) -> None:
        """Close everything that was opened."""
        for store in self._opened:
            store.close()
