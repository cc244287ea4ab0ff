"""The reference backend: every promise but surviving the process, in the shortest code that keeps them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from actum.errors import EventsArchived, StoreDamaged, StoreRefused
from actum.events import RecordedEvent, seal, to_text
from actum.events.merkle import Frontier
from actum.eventstore.expected import answer_from, check_batch, check_expected, sort_out_conflict
from actum.eventstore.floor import Stretch, floor_moved
from actum.eventstore.payloads.boxes import BoxedEvent, is_plain
from actum.eventstore.payloads.protection import Protected, Protection
from actum.eventstore.payloads.subjects import Box
from actum.eventstore.payloads.subjects_memory import MemoryRows
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.protocol import Appended, Batch, RawEvent, TreeState, ViewRow
from actum.eventstore.tables.writer import deliver
from actum.eventstore.views import VIEWS, Holding, NoneOf, check_query
from actum.eventstore.waiting import Listeners

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
        self._listeners = Listeners()
        self._log: list[RecordedEvent | None] = []  # None: it has left for the archive
        self._streams: dict[str, list[RecordedEvent | None]] = {}
        self._heads: dict[str, bytes] = {}
        self._ids: dict[str, RecordedEvent] = {}
        self._views: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {name: {} for name in VIEWS}
        self._frontier = Frontier()
        self._checkpoints: dict[int, str] = {}
        self._floor = TreeState(0, Frontier().to_bytes())
        self._departed: dict[str, list[Stretch]] = {}
        self._payloads: dict[int, tuple[bytes, bytes]] = {}  # of events that have left without them
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
            there = sort_out_conflict(batch, [None if e is None else self.opened([e])[0] for e in found])
            if there is not None:
                return answer_from(there)
            boxes: dict[int, tuple[Box, ...]] = {}
            appended = self._sealed(batch, boxes)
            # From here on nothing can fail: all of the batch is written, or none.
            for event in appended:
                self._log.append(event)
                self._streams.setdefault(event.stream, []).append(event)
                self._heads[event.stream] = event.leaf
                self._ids[event.id] = event
            for position, some in boxes.items():
                self._rows.put(position, some)
            self._frontier.extend([event.leaf for event in appended])
            for _, _, _, views in batch:
                self._write_views(views)
            self._changed.notify_all()
            self._listeners.tell()
            return answer_from(appended)

    def _write_views(self, views: Iterable[ViewRow]) -> None:
        for view, key, row in views:
            if row is None:
                self._views[view].pop(key, None)
            else:
                self._views[view][key] = dict(zip(VIEWS[view].key, key, strict=True)) | dict(row)

    def _sealed(self, batch: Batch, boxes: dict[int, tuple[Box, ...]]) -> list[RecordedEvent]:
        sealed: list[RecordedEvent] = []
        fresh: dict[str, tuple[int, bytes | None]] = {}
        now = to_text(self._clock())
        for stream, expected, events, _ in batch:
            past = self._streams.get(stream, [])
            version, prev = fresh.get(stream) or (len(past), self._heads.get(stream))
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
        low = max(from_version, 0)
        with self._changed:
            self._check_open()
            part = self._streams.get(stream, [])[low:to]
            found = [event for event in part if event is not None]
            if len(found) < len(part):
                raise EventsArchived(self.url, stream, low + part.index(None), self._floor.size)
        return self.opened(found)

    def _boxes(self, positions: list[int]) -> Mapping[int, Sequence[Box]]:
        return self._rows.at(positions)

    def _forget(self, position: int) -> bool:
        if self._payloads.pop(position, None) is not None:
            return True
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
            if event is None:
                raise EventsArchived(self.url, None, position, self._floor.size)
            if types is None or event.type in types:
                given += 1
                yield self.opened([event])[0] if payloads else RecordedEvent(event.position, event.header)

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        for e in self.read(after, limit, payloads=False):
            beside = self._log[e.position] or e  # it may have left meanwhile
            payload = self.parts_of(e.position, e.id) or beside.payload
            yield RawEvent(e.position, e.stream, e.version, e.id, e.type, e.header, beside.salt, payload)

    def head(self) -> int:
        with self._changed:
            self._check_open()
            return len(self._log)

    def wait(self, position: int, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self._log) > position or self._closed, timeout_s)
            return self.head()

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        self._listeners.add(woken)
        return lambda: self._listeners.remove(woken)

    def stream_version(self, stream: str) -> int:
        with self._changed:
            self._check_open()
            return len(self._streams.get(stream, ()))

    def streams(self) -> Iterator[tuple[str, int, bytes]]:
        with self._changed:
            self._check_open()
            found = [(name, len(events), self._heads[name]) for name, events in self._streams.items()]
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
        parts = {column: value.parts for column, value in (where or {}).items() if isinstance(value, Holding)}
        wanted = {
            column: value if isinstance(value, tuple) else (value,)
            for column, value in (where or {}).items()
            if column not in parts
        }
        with self._changed:
            self._check_open()
            rows = [
                dict(row)
                for _, row in sorted(self._views[view].items())
                if all((row[column] in values) != isinstance(values, NoneOf) for column, values in wanted.items())
                and all(part in (row[column] or "") for column, some in parts.items() for part in some)
            ]
        if order is not None:  # like SQL: NULL is the smallest
            rows.sort(key=lambda row: (row[order] is not None, row[order]), reverse=descending)
        return rows[:limit]

    def view_rows(self, view: str) -> Iterator[dict[str, Any]]:
        return iter(self.view(view))

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

    # -- what has left for the archive ---------------------------------------------------------------------------

    def floor(self) -> TreeState:
        with self._changed:
            self._check_open()
            return self._floor

    def departed(self, stream: str) -> list[Stretch]:
        with self._changed:
            self._check_open()
            return list(self._departed.get(stream, ()))

    def payloads_here(self, first: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
        for position in range(first, min(end, self.head())):
            event = self._log[position]
            salt, data = self._payloads.get(position, (None, None)) if event is None else (event.salt, event.payload)
            if salt is not None and data is not None:
                yield position, salt, data

    def drop(self, floor: int, new: TreeState, payloads: Sequence[int], *, keep: str) -> None:
        with self._changed:
            self._check_floor(floor)
            gone = set(payloads)
            for position in range(floor, new.size):
                event = self._log[position]
                if event is None or event.stream == keep:
                    continue
                if event.payload is not None and event.salt is not None and position not in gone:
                    self._payloads[position] = (event.salt, event.payload)
                self._log[position] = self._streams[event.stream][event.version] = None
                del self._ids[event.id]
                parts = self._departed.setdefault(event.stream, [])
                if not parts or parts[-1].segment != floor:
                    parts.append(Stretch(floor, event.version, event.version))
                parts[-1] = parts[-1]._replace(until=event.version + 1)
            self._floor = new

    def put_back(self, floor: int, new: TreeState, events: Iterable[RawEvent]) -> None:
        with self._changed:
            self._check_floor(floor)
            there = list(events)
            for raw in there:
                known = self._ids.get(raw.id)
                if known is not None and known.position != raw.position:
                    raise StoreDamaged(raw.position, f"its id was used again at position {known.position}")
            for raw in there:
                if self._log[raw.position] is None:
                    archived = raw.payload if isinstance(raw.payload, bytes) else None
                    salt, data = self._payloads.pop(raw.position, (raw.salt, archived))
                    event = RecordedEvent(raw.position, raw.header, data, salt)
                    self._log[raw.position] = self._streams[raw.stream][raw.version] = event
                    self._ids[raw.id] = event
            for stream, parts in self._departed.items():
                self._departed[stream] = [part for part in parts if part.segment < new.size]
            self._floor = new

    def begin_at(
        self,
        tree: TreeState,
        streams: Iterable[tuple[str, int, bytes]],
        departed: Iterable[tuple[str, Stretch]],
        views: Iterable[ViewRow],
    ) -> None:
        with self._changed:
            self._check_floor(0)
            if self._log:
                raise StoreRefused(self.url, "is not empty; nothing was written")
            self._log = [None] * tree.size
            for name, version, leaf in streams:
                self._streams[name] = [None] * version
                self._heads[name] = leaf
            for name, part in departed:
                self._departed.setdefault(name, []).append(part)
            self._write_views(views)
            self._frontier = Frontier.from_bytes(tree.frontier)
            self._floor = tree

    def _check_floor(self, floor: int) -> None:
        self._check_open("the store is closed; nothing was done")
        if self._floor.size != floor:
            raise floor_moved(self.url, self._floor.size, floor)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check_open(self, problem: str = "the store is closed") -> None:
        if self._closed:
            raise StoreRefused(self.url, problem)
