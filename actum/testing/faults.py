"""Stores whose answers get lost: before the write landed, and after. Faults come in pairs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

from actum.errors import StoreUnavailable
from actum.events import PartName, RecordedEvent
from actum.eventstore import Appended, Batch, EventStore, RawEvent, TreeState

__all__ = ["FaultyStore"]


class FaultyStore:
    """A store whose next `times` appends answer `StoreUnavailable`: with `landed` after the write, else without it.

    A landed append that the store itself refuses gets the store's refusal. Everything else goes straight through.
    """

    def __init__(self, store: EventStore, landed: bool, times: int = 1) -> None:
        self.url = store.url
        self.tenant = store.tenant
        self.left = times
        """How many more appends will fail."""
        self._store = store
        self._landed = landed
        self._lock = Lock()

    def append(self, batch: Batch) -> Appended:
        if not self._fails():
            return self._store.append(batch)
        if self._landed:
            self._store.append(batch)
        raise self._lost()

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        if not self._fails():
            self._store.append_soon(batch, done)
        elif self._landed:
            self._store.append_soon(
                batch, lambda answer: done(answer if isinstance(answer, Exception) else self._lost())
            )
        else:
            done(self._lost())

    def _fails(self) -> bool:
        with self._lock:
            if self.left <= 0:
                return False
            self.left -= 1
            return True

    def _lost(self) -> StoreUnavailable:
        return StoreUnavailable("a fault for testing, " + ("after" if self._landed else "before") + " the write")

    @property
    def payload_limit_bytes(self) -> int:
        return self._store.payload_limit_bytes

    # -- straight through ----------------------------------------------------------------------------------------

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        return self._store.read_stream(stream, from_version, to_version)

    def read(
        self, after: int = -1, limit: int | None = None, *, types: Sequence[str] | None = None, payloads: bool = True
    ) -> Iterator[RecordedEvent]:
        return self._store.read(after, limit, types=types, payloads=payloads)

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        return self._store.read_raw(after, limit)

    def floor(self) -> TreeState:
        return self._store.floor()

    def head(self) -> int:
        return self._store.head()

    def wait(self, position: int, timeout_s: float) -> int:
        return self._store.wait(position, timeout_s)

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        return self._store.listen(woken)

    def stream_version(self, stream: str) -> int:
        return self._store.stream_version(stream)

    def streams(self) -> Iterator[tuple[str, int, bytes]]:
        return self._store.streams()

    def view(
        self,
        view: str,
        where: Mapping[str, Any] | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        return self._store.view(view, where, order=order, descending=descending, limit=limit)

    def view_rows(self, view: str) -> Iterator[dict[str, Any]]:
        return self._store.view_rows(view)

    def tree(self) -> TreeState:
        return self._store.tree()

    def add_checkpoint(self, size: int, note: str) -> None:
        self._store.add_checkpoint(size, note)

    def checkpoints(self) -> list[tuple[int, str]]:
        return self._store.checkpoints()

    def key_for(self, subject: str) -> str:
        return self._store.key_for(subject)

    def keys_of(self, subject: str) -> list[str]:
        return self._store.keys_of(subject)

    def subjects(self) -> Iterator[tuple[str, str, str]]:
        return self._store.subjects()

    def keys_left(self, keys: Collection[str]) -> set[str]:
        return self._store.keys_left(keys)

    def destroy_key(self, key: str) -> int:
        return self._store.destroy_key(key)

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        return self._store.drop_payloads(positions, part)

    def scrub(self, *, thorough: bool = False) -> None:
        self._store.scrub(thorough=thorough)

    def rewrap_keys(self) -> int:
        return self._store.rewrap_keys()

    def sweep_blobs(self, older_than_s: float = 3600, *, remove: bool = False) -> list[str]:
        return self._store.sweep_blobs(older_than_s, remove=remove)

    def close(self) -> None:
        self._store.close()
