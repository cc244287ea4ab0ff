"""Where the book lies: in this process, in a file beside a store that is a file, or in a table of a database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from actum.engine.resources.book import Book

if TYPE_CHECKING:
    from actum.eventstore import EventStore
    from actum.eventstore.tables.shared_book import SharedBook

__all__ = ["FileShelf", "MemoryShelf", "Shelf", "TableShelf", "shelf_of"]

T = TypeVar("T")


class Shelf(Protocol):
    """One book that all workers of a store share. Used by one thread at a time."""

    shared: bool
    """Whether other processes may change it."""

    def change(self, do: Callable[[Book, int], T]) -> T:
        """Have `do` change the book while nobody else does; it gets the time, too, in microseconds since the epoch.

        When this returns, everybody sees the change. Raises a `StoreError` when the book cannot be reached; then
        nothing has changed. What `do` raises comes through, and nothing has changed either.
        """

    def read(self) -> tuple[Book, int]:
        """The book as it is, and the time; not to be changed."""

    def stamp(self) -> object:
        """Something that is another whenever the book may have changed."""

    def close(self) -> None: ...


class MemoryShelf:
    """For a store that only this process can reach."""

    shared = False

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._book = Book()

    def change(self, do: Callable[[Book, int], T]) -> T:
        return do(self._book, self._now_us())

    def read(self) -> tuple[Book, int]:
        return self._book, self._now_us()

    def stamp(self) -> object:
        return None

    def close(self) -> None: ...


class FileShelf:
    """A file beside the store, and a lock on another, which the operating system lets go of when a process dies."""

    shared = True

    def __init__(self, store: Path, tenant: str, now_us: Callable[[], int]) -> None:
        self._path = store.with_name(store.name + ".resources") / quote(tenant, safe="")
        self._lock: int | None = None
        self._now_us = now_us

    def change(self, do: Callable[[Book, int], T]) -> T:
        if self._lock is None:
            self._path.parent.mkdir(exist_ok=True)
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            before = self._read()
            book = Book.from_json(before)
            answer = do(book, self._now_us())
            after = book.to_json()
            if after != before:
                fresh = self._path.with_name(self._path.name + ".new")
                fresh.write_bytes(after)  # no fsync: after a power failure, whoever held something is gone too
                fresh.replace(self._path)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
        return answer

    def read(self) -> tuple[Book, int]:
        return Book.from_json(self._read()), self._now_us()

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def stamp(self) -> object:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


class TableShelf:
    """A row of the store's database, locked while it is changed; the time is the database's."""

    shared = True

    def __init__(self, kept: SharedBook) -> None:
        self._kept = kept

    def change(self, do: Callable[[Book, int], T]) -> T:
        answers: list[T] = []

        def on(text: bytes, now_us: int) -> bytes:
            book = Book.from_json(text)
            answers[:] = [do(book, now_us)]
            return book.to_json()

        self._kept.change(on)
        return answers[0]

    def read(self) -> tuple[Book, int]:
        text, now_us = self._kept.read()
        return Book.from_json(text), now_us

    def stamp(self) -> object:
        return self._kept.version()

    def close(self) -> None:
        self._kept.close()


def shelf_of(store: EventStore, now_us: Callable[[], int]) -> Shelf:
    """Where the workers of this store keep their book."""
    found: Any = getattr(store, "shared_book", None)
    if found is not None:
        return TableShelf(found())
    path: Path | None = getattr(store, "path", None)
    return MemoryShelf(now_us) if path is None else FileShelf(path, store.tenant, now_us)
