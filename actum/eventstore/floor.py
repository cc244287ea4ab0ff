"""The floor of a store: the position from which on it holds every event. What is below has left for the archive.

What stays below the floor: the events of the log's own stream (keys, checkpoints, what was archived and erased), the
payloads that must not be copied elsewhere, the ends of all streams, tree, checkpoints and views. So a log whose past
is elsewhere can be appended to, signed and listed as before; only to read that past, the archive must be at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from actum.errors import EventsArchived, StoreRefused
from actum.events import PAYLOAD_LIMIT_BYTES, RecordedEvent
from actum.eventstore.payloads.subjects import Parts
from actum.eventstore.protocol import EventStore, RawEvent, TreeState, ViewRow

__all__ = ["HotStore", "Stretch", "floor_moved", "page_above", "stays", "whole_stream"]


class Stretch(NamedTuple):
    """Where events of a stream are: its versions from `start` up to, not including, `until`, in one segment."""

    segment: int
    """The position of the segment's first event."""
    start: int
    until: int


class HotStore(EventStore, Protocol):
    """A store that can let events go, and take them back. Each of these is done whole, or not at all.

    Nobody but `actum.archive` should call them: they believe that the archive has what they let go.
    """

    def drop(self, floor: int, new: TreeState, payloads: Sequence[int], *, keep: str) -> None:
        """Raise the floor from `floor` to `new.size`, and let go of the events between but those of the stream `keep`.

        `payloads` are the positions whose payloads go too; `new` is the tree over all events below the new floor.
        Raises `StoreRefused`, and then nothing was done, when the floor is not at `floor` or the store is in use.
        """

    def put_back(self, floor: int, new: TreeState, events: Iterable[RawEvent]) -> None:
        """Lower the floor from `floor` to `new.size`: `events` are those between, as they were.

        A payload that is here already stays. Raises `StoreRefused` as `drop` does, and `StoreDamaged` when an event
        cannot be taken back because another one has its place or its id.
        """

    def begin_at(
        self,
        tree: TreeState,
        streams: Iterable[tuple[str, int, bytes]],
        departed: Iterable[tuple[str, Stretch]],
        views: Iterable[ViewRow],
    ) -> None:
        """Make an empty store one whose events have all left: with these streams, as `streams()` gives them.

        Raises `StoreRefused` when it is not empty.
        """

    def departed(self, stream: str) -> list[Stretch]:
        """Where the events of this stream are that have left, in the order of their versions."""

    def opened(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """These events, whose headers may have left, with the payloads that are kept apart."""

    def parts_of(self, position: int, event_id: str) -> Parts | None:
        """What is kept apart of one event, whose header may have left; None when there is nothing."""

    def payloads_here(self, first: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Position, salt and bytes of each payload that is here, from position `first` up to, not including, `end`."""


def stays(head: dict[str, Any]) -> bool:
    """Whether a payload never leaves its store: it is personal, wholly or in part, under a data key, or a large one."""
    about = head["payload"]
    apart = "key" in about or "personal" in head or about["size"] > PAYLOAD_LIMIT_BYTES
    return apart or about["class"] == "personal"


def floor_moved(url: str, actual: int, expected: int) -> StoreRefused:
    """What who moves the floor is told when another process was quicker."""
    return StoreRefused(
        url,
        f"its floor is at position {actual}, not {expected}: another process moved it; nothing was done. Try again.",
    )


class _Reader(Protocol):
    url: str

    def floor(self) -> TreeState: ...

    def departed(self, stream: str) -> list[Stretch]: ...


T = TypeVar("T")


def page_above(
    position: int,
    url: str,
    floor: Callable[[], TreeState],
    ask: Callable[[], list[T]],
    dense: Callable[[list[T]], bool],
) -> list[T]:
    """A page of the log from this position on; `EventsArchived` when one of its events has left.

    `dense` says whether a page is obviously whole; if not, it is read again while the floor stands still.
    """
    rows = ask()
    if dense(rows):
        return rows
    before = floor().size
    while True:
        if before > position:
            raise EventsArchived(url, None, position, before)
        rows = ask()
        after = floor().size
        if after == before:
            return rows
        before = after


def whole_stream(
    store: _Reader, stream: str, low: int, end: int, read: Callable[[], list[RecordedEvent]]
) -> list[RecordedEvent]:
    """The events of a stream from version `low` up to `end`; `EventsArchived` when one of them has left.

    What has left is always the beginning of a stream, so events that begin where they should are all of them.
    """
    events = read()
    if events and events[0].version == low and events[-1].version - low == len(events) - 1:
        return events
    before = store.floor().size
    while before:
        events = read()
        gone = [part for part in store.departed(stream) if max(part.start, low) < min(part.until, end)]
        after = store.floor().size
        if after == before and gone:
            raise EventsArchived(store.url, stream, max(low, gone[0].start), after)
        if after == before:
            break
        before = after
    return events
