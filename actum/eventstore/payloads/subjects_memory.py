"""Data keys and boxes of a store that lives in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager

from actum.eventstore.payloads.subjects import Box, KeyRow, Which

__all__ = ["MemoryRows"]


class MemoryRows:
    """`lock` is the store's own. `forget` removes the payload beside a header, and says whether there was one."""

    def __init__(self, lock: AbstractContextManager[object], forget: Callable[[int], bool]) -> None:
        self._lock = lock
        self._forget = forget
        self._keys: dict[str, KeyRow] = {}
        self._boxes: dict[int, tuple[Box, ...]] = {}

    def put(self, position: int, boxes: tuple[Box, ...]) -> None:
        """Keep the boxes of a new event, but none under a key that is destroyed. To be called under the lock."""
        kept = tuple(b for b in boxes if b.key is None or self._keys[b.key].destroyed_at is None)
        if kept:
            self._boxes[position] = kept

    def at(self, positions: Collection[int]) -> dict[int, tuple[Box, ...]]:
        """The boxes of the events at these positions, of those that have any."""
        with self._lock:
            return {at: self._boxes[at] for at in positions if at in self._boxes}

    def find(self, keys: Collection[str]) -> list[KeyRow]:
        with self._lock:
            return [self._keys[key] for key in keys if key in self._keys]

    def of(self, subject: str) -> list[KeyRow]:
        with self._lock:
            return [row for row in self._keys.values() if row.subject == subject]

    def all(self) -> Iterator[KeyRow]:
        with self._lock:
            rows = list(self._keys.values())
        yield from rows

    def add(self, row: KeyRow) -> None:
        with self._lock:
            if row.subject is not None and not self.of(row.subject):
                self._keys[row.key] = row

    def rewrap(self, key: str, before: bytes | None, after: bytes) -> bool:
        with self._lock:
            row = self._keys[key]
            if row.destroyed_at is not None or row.wrapped != before:
                return False
            self._keys[key] = row._replace(wrapped=after)
            return True

    def destroy(self, key: str, at: str) -> bool:
        with self._lock:
            row = self._keys.get(key)
            if row is None:
                return False
            self._keys[key] = row._replace(subject=None, wrapped=None, destroyed_at=row.destroyed_at or at)
            return True

    def places(self, which: Which) -> list[str]:
        with self._lock:
            return [box.place for _, box in self._some(which) if box.place is not None]

    def in_use(self, places: Collection[str]) -> set[str]:
        with self._lock:
            there = {box.place for boxes in self._boxes.values() for box in boxes}
        return {place for place in places if place in there}

    def remains(self, keys: Collection[str]) -> set[str]:
        with self._lock:
            boxed = {box.key for boxes in self._boxes.values() for box in boxes}
            alive = {key for key, row in self._keys.items() if row.destroyed_at is None}
        return {key for key in keys if key in boxed or key in alive}

    def remove(self, which: Which) -> int:
        with self._lock:
            gone = self._some(which)
            for at, box in gone:
                left = tuple(b for b in self._boxes[at] if b != box)
                if left:
                    self._boxes[at] = left
                else:
                    del self._boxes[at]
            beside = {at for at in which.beside if self._forget(at)}
            return len({at for at, _ in gone} | beside)

    def scrub(self, *, thorough: bool) -> None:
        """Nothing of it is in a file."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _some(self, which: Which) -> list[tuple[int, Box]]:
        return [
            (at, box)
            for at, boxes in self._boxes.items()
            for box in boxes
            if (at in which.positions and which.part in (None, box.part))
            or (which.key is not None and box.key == which.key)
        ]
