"""The reference backend: every promise but surviving the process, in the shortest code that keeps them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from actum.errors import StoreRefused
from actum.events import RecordedEvent, seal, to_text
from actum.events.merkle import Frontier
from actum.eventstore.expected import answer_from, check_batch, check_expected, sort_out_conflict
from actum.eventstore.protection import BoxedEvent, Protected, Protection, Vault, is_plain
from actum.eventstore.protocol import Appended, Batch, RawEvent, TreeState
from actum.eventstore.subjects import Box
from actum.eventstore.subjects_memory import MemoryRows
from actum.eventstore.views import VIEWS, check_query
from actum.eventstore.writer import deliver

__all__ = ["MemoryStore"]


def _now_us() -> int:
    return time.time_ns() // 1000


class MemoryStore(Protected):
    """An event store that lives and dies with the process. It is its own writer: an append is done by its caller."""

    def __init__(self, tenant: str = "default", clock: Callable[[], int] = _now_us, vault: Vault | None = None) -> None:
        self.url = "memory://"
        self.tenant = tenant
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._log: list[RecordedEvent] = []
        self._streams: dict[str, list[RecordedEvent]] = {}
        self._ids: dict[str, RecordedEvent] = {}
        self._views: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {name: {} for name in VIEWS}
        self._frontier = Frontier()
        self._checkpoints: dict[int, str] = {}
        self._closed = False
        self._rows = MemoryRows(self._changed, self._forget)
        self._protection = Protection(self.url, tenant, vault or Vault(), lambda: self._rows, clock)

    def append(self, batch: Batch) -> Appended:
        return self._append(batch) if is_plain(batch) else self._protection.append(batch, self._append)

    def _append(self, batch: Batch) -> Appended:
        with self._changed:
            self._check_open("the store is closed; nothing was written")
            check_batch(batch, self.payload_limit_bytes)
            found = [self._ids.get(e.id) for _, _, events, _ in batch for e in events]
            there = sort_out_conflict(batch, [None if e is None else self._opened([e])[0] for e in found])
            if there is not None:
                return answer_from(there)
            boxes: dict[int, tuple[Box, ...]] = {}
            appended = self._sealed(batch, boxes)
            # From here on nothing can fail: all of the batch is written, or none.
            for event in appended:
                self._log.append(event)
                self._streams.setdefault(event.stream, []).append(event)
                self._ids[event.id] = event
            for position, some in boxes.items():
                self._rows.put(position, some)
            self._frontier.extend([event.leaf for event in appended])
            for _, _, _, views in batch:
                for view, key, row in views:
                    if row is None:
                        self._views[view].pop(key, None)
                    else:
                        self._views[view][key] = dict(zip(VIEWS[view].key, key, strict=True)) | dict(row)
            self._changed.notify_all()
            return answer_from(appended)

    def _sealed(self, batch: Batch, boxes: dict[int, tuple[Box, ...]]) -> list[RecordedEvent]:
        sealed: list[RecordedEvent] = []
        fresh: dict[str, tuple[int, bytes | None]] = {}
        now = to_text(self._clock())
        for stream, expected, events, _ in batch:
            past = self._streams.get(stream, [])
            version, prev = fresh.get(stream) or (len(past), past[-1].leaf if past else None)
            check_expected(stream, expected, version)
            for event in events:
                position = len(self._log) + len(sealed)
                salt = os.urandom(32) if event.payload is not None else None
                header, leaf, salt = seal(event, self.tenant, stream, version, prev, now, salt)
                if isinstance(event, BoxedEvent):
                    boxes[position] = event.boxes
                sealed.append(RecordedEvent(position, header, None if salt is None else event.payload, salt))
                version, prev = version + 1, leaf
            fresh[stream] = (version, prev)
        return sealed

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        sum([len(append[2]) for append in batch])  # TypeError for no batch at all, to who made the mistake
        if not is_plain(batch):
            self._protection.append_soon(batch, done, self._append_now)
        else:
            self._append_now(batch, done)

    def _append_now(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        try:
            answer: Appended | Exception = self._append(batch)
        except Exception as exc:  # noqa: BLE001 - it is the answer
            answer = exc
        deliver(done, answer)

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        to = None if to_version is None else max(to_version, 0)
        with self._changed:
            self._check_open()
            found = self._streams.get(stream, [])[max(from_version, 0) : to]
        return self._opened(found)

    def _opened(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """With the payloads that are kept apart."""
        boxes = self._rows.at([event.position for event in events if event.missing])
        return self._protection.open_all(events, boxes) if boxes else events

    def _forget(self, position: int) -> bool:
        event = self._log[position] if 0 <= position < len(self._log) else None
        if event is None or event.payload is None:
            return False
        gone = RecordedEvent(position, event.header)
        self._log[position] = self._streams[event.stream][event.version] = self._ids[event.id] = gone
        return True

    def read(
        self, after: int = -1, limit: int | None = None, *, types: Sequence[str] | None = None, payloads: bool = True
    ) -> Iterator[RecordedEvent]:
        given = 0
        for position in range(max(after, -1) + 1, self.head()):
            if limit is not None and given >= limit:
                return
            event = self._log[position]
            if types is None or event.type in types:
                given += 1
                yield self._opened([event])[0] if payloads else RecordedEvent(event.position, event.header)

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        for e in self.read(after, limit, payloads=False):
            beside = self._log[e.position]
            boxes = self._rows.at([e.position]).get(e.position, ())
            payload = self._protection.raw_parts(e.id, boxes) if boxes else beside.payload
            yield RawEvent(e.position, e.stream, e.version, e.id, e.type, e.header, beside.salt, payload)

    def head(self) -> int:
        with self._changed:
            self._check_open()
            return len(self._log)

    def wait(self, position: int, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self._log) > position or self._closed, timeout_s)
            return self.head()

    def stream_version(self, stream: str) -> int:
        with self._changed:
            self._check_open()
            return len(self._streams.get(stream, ()))

    def streams(self) -> Iterator[tuple[str, int, bytes]]:
        with self._changed:
            self._check_open()
            found = [(name, len(events), events[-1].leaf) for name, events in self._streams.items()]
        yield from found

    def view(
        self,
        view: str,
        where: Mapping[str, Any] | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        check_query(view, where or {}, order)
        wanted = {column: value if isinstance(value, tuple) else (value,) for column, value in (where or {}).items()}
        with self._changed:
            self._check_open()
            rows = [
                dict(row)
                for _, row in sorted(self._views[view].items())
                if all(row[column] in values for column, values in wanted.items())
            ]
        if order is not None:  # like SQL: NULL is the smallest
            rows.sort(key=lambda row: (row[order] is not None, row[order]), reverse=descending)
        return rows[:limit]

    def tree(self) -> TreeState:
        with self._changed:
            self._check_open()
            return TreeState(len(self._log), self._frontier.to_bytes())

    def add_checkpoint(self, size: int, note: str) -> None:
        with self._changed:
            self._check_open("the store is closed; nothing was written")
            self._checkpoints.setdefault(size, note)

    def checkpoints(self) -> list[tuple[int, str]]:
        with self._changed:
            self._check_open()
            return sorted(self._checkpoints.items())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check_open(self, problem: str = "the store is closed") -> None:
        if self._closed:
            raise StoreRefused(self.url, problem)
