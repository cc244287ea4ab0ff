"""A store and its archive as one log: below the floor events come from the archive, above it from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from typing import Any, Protocol, cast

from actum.archive.places import ArchivePlace
from actum.archive.reading import ArchivedEvents
from actum.archive.removing import Removal
from actum.errors import EventsArchived, IdempotencyConflict, VersionConflict
from actum.events import PartName, RecordedEvent
from actum.events.merkle import Frontier
from actum.eventstore import Append, Appended, Batch, EventStore, RawEvent, TreeState
from actum.eventstore.check.workers import ReadElsewhere
from actum.eventstore.expected import answer_from, sort_out_conflict
from actum.eventstore.floor import HotStore
from actum.eventstore.payloads.boxes import KEPT_APART
from actum.eventstore.payloads.subjects import Parts

__all__ = ["WholeReader", "WholeStore", "hot_of"]

_PAGE = 500


class HotReader(Protocol):
    """What is asked of the store, as `HotStore` says."""

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]: ...

    def parts_of(self, position: int, event_id: str) -> Parts | None: ...

    def payloads_here(self, first: int, end: int) -> Iterator[tuple[int, bytes, bytes]]: ...


class WholeReader:
    """Store and archive as one log, for reading as it lies there; in another process, too."""

    def __init__(self, hot: HotReader, archived: ArchivedEvents) -> None:
        self._hot = hot
        self._archived = archived

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        at = max(after, -1) + 1
        end = None if limit is None else at + max(limit, 0)
        while end is None or at < end:
            try:
                for row in self._hot.read_raw(at - 1, None if end is None else end - at):
                    yield row
                    at = row.position + 1
                return
            except EventsArchived as gone:
                for row in self.below(at, gone.floor if end is None else min(gone.floor, end), payloads=True):
                    yield row if row.payload is not None else row._replace(payload=self._parts(row))
                    at = row.position + 1

    def _parts(self, row: RawEvent) -> Parts | None:
        return self._hot.parts_of(row.position, row.id) if KEPT_APART in row.header else None

    def below(self, first: int, end: int, *, payloads: bool) -> Iterator[RawEvent]:
        """Events that have left, with the payloads that left with them or lie beside their headers here."""
        beside = self._hot.payloads_here(first, end) if payloads else ()
        return self._archived.between(first, end, payloads=payloads, beside=beside)


@contextmanager
def _reading(
    hot: Callable[[], AbstractContextManager[HotReader]], place: ArchivePlace, tenant: str
) -> Iterator[WholeReader]:
    with hot() as reader:
        yield WholeReader(reader, ArchivedEvents(place, tenant))


class WholeStore:
    """An event store that holds everything: reading asks store and archive, everything else is the store's.

    Each event is given once, in order, also while segments leave or come back; payloads that never left are joined to
    archived headers. What the archive gives is checked for gaps, and by Parquet's checksums; `actum verify` over this
    store hashes all of it.
    """

    def __init__(self, hot: HotStore, place: ArchivePlace) -> None:
        self.hot = hot
        self.url = hot.url
        self.tenant = hot.tenant
        self._archived = ArchivedEvents(place, hot.tenant)
        self._raw = WholeReader(hot, self._archived)
        self._removal = Removal(place, hot.tenant)
        self.read_raw = self._raw.read_raw
        self.append_soon = hot.append_soon
        self.head = hot.head
        self.wait = hot.wait
        self.stream_version = hot.stream_version
        self.streams = hot.streams
        self.view = hot.view
        self.view_rows = hot.view_rows
        self.tree = hot.tree
        self.add_checkpoint = hot.add_checkpoint
        self.checkpoints = hot.checkpoints
        self.close = hot.close
        if isinstance(hot, ReadElsewhere):  # else this log has no such method either
            self.elsewhere = partial(_opener, hot, place)

    def __getattr__(self, name: str) -> Any:  # Any: what only this kind of store has, such as the path of its file
        if name == "hot":
            raise AttributeError(name)
        return getattr(self.hot, name)

    def floor(self) -> TreeState:
        return TreeState(0, Frontier().to_bytes())

    def append(self, batch: Batch) -> Appended:
        """As the store's own; and a batch that was appended before its events left gets its first answer, too.

        To be told so it must expect what it expected then, and that must be a version: an event id that has left is
        unknown to the store, so who expects nothing appends it a second time. `append_soon` has no such memory.
        """
        try:
            return self.hot.append(batch)
        except (VersionConflict, IdempotencyConflict):
            there = sort_out_conflict(batch, [event for append in batch for event in self._at(append)])
            if there is None:
                raise
            return answer_from(there)

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        """As the store's own, and out of the archive, too: `scrub` writes there what is left."""
        floor = self.hot.floor().size
        dropped = self.hot.drop_payloads(positions, part)
        if part == "personal":
            return dropped  # it never left
        return dropped + sum(position < floor for position in self._removal.add(positions))

    def scrub(self, *, thorough: bool = False) -> None:
        self._removal.carry_out()
        self.hot.scrub(thorough=thorough)

    def _at(self, append: Append) -> list[RecordedEvent | None]:
        """What is recorded under these events' ids, in the place where the append would have put them."""
        low, count = max(append.expected, 0), len(append.events)
        part = self.read_stream(append.stream, low, None if append.expected < 0 else low + count)
        known = {event.id: event for event in part}
        return [known.get(event.id) for event in append.events]

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        found: list[RecordedEvent] = []
        at = max(from_version, 0)
        while True:
            try:
                return found + self.hot.read_stream(stream, at, to_version)
            except EventsArchived:
                rows = self._archived.of_stream(stream, self.hot.departed(stream), at, to_version)
                found += self.hot.opened([self._recorded(row) for row in rows])
                at += len(rows)

    def _recorded(self, row: RawEvent) -> RecordedEvent:
        event = _recorded(row)
        if row.payload is None and "payload" in event.head:  # it did not leave, or it was erased
            for _, event.salt, event.payload in self.hot.payloads_here(row.position, row.position + 1):
                pass
        return event

    def read(
        self, after: int = -1, limit: int | None = None, *, types: Sequence[str] | None = None, payloads: bool = True
    ) -> Iterator[RecordedEvent]:
        at = max(after, -1) + 1
        left = limit
        while left is None or left > 0:
            try:
                for event in self.hot.read(at - 1, left, types=types, payloads=payloads):
                    yield event
                    at = event.position + 1
                    left = left if left is None else left - 1
                return
            except EventsArchived as gone:
                for event in self._events_below(at, gone.floor, payloads=payloads):
                    if left is not None and left <= 0:
                        return
                    at = event.position + 1
                    if types is None or event.type in types:
                        left = left if left is None else left - 1
                        yield event

    def _events_below(self, first: int, end: int, *, payloads: bool) -> Iterator[RecordedEvent]:
        rows = self._raw.below(first, end, payloads=payloads)
        while page := [_recorded(row) for row in islice(rows, _PAGE)]:
            yield from self.hot.opened(page) if payloads else page


def _recorded(row: RawEvent) -> RecordedEvent:
    return RecordedEvent(row.position, row.header, row.payload if isinstance(row.payload, bytes) else None, row.salt)


def _opener(hot: HotStore, place: ArchivePlace) -> Callable[[], AbstractContextManager[WholeReader]]:
    """What opens the log for reading in another process; it can be sent there."""
    return partial(_reading, cast(Any, hot).elsewhere(), place, hot.tenant)


def hot_of(store: EventStore) -> HotStore:
    """The store itself, without its archive: what can let events go and take them back."""
    return store.hot if isinstance(store, WholeStore) else cast(HotStore, store)
