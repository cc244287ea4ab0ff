"""Taking archived events back: into the store that they left, or into a new one when the store was lost.

From the top down, segment by segment, so the store has no hole at any moment; killed anywhere, the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from actum.archive.archiving import segments_of, system_events
from actum.archive.dropping import lives, record_life
from actum.archive.places import ArchivePlace
from actum.archive.reading import ArchivedEvents
from actum.archive.segment import Segment, check_segment
from actum.errors import ArchiveDamaged, BadInput, CheckpointRefused, EventsArchived, IdempotencyConflict
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id, to_text
from actum.events.checkpoint import VerifierKey, verify
from actum.events.merkle import Frontier
from actum.eventstore import ANY, Append, TreeState, ViewRow
from actum.eventstore.check_views import Rebuild
from actum.eventstore.floor import HotStore, Stretch
from actum.eventstore.sealing import origin_of, system_stream

__all__ = ["restore"]

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    pass


def _now_us() -> int:
    return time.time_ns() // 1000


def restore(
    store: HotStore,
    place: ArchivePlace,
    keys: Sequence[VerifierKey],
    rebuild: Rebuild,
    *,
    start: int = 0,
    progress: Progress = _silent,
    clock: Callable[[], int] = _now_us,
) -> list[Segment]:
    """Put the segments back that have left, down to the one that holds position `start`; those that were put back.

    Each is hashed to a root that one of the keys signed before anything of it is written, and recorded afterwards. An
    empty store becomes the archived log: events, streams, tree, checkpoints and views, up to the last segment, and
    `log.rebuilt` says so. What an archive never has is not there: personal payloads, and later events.

    Raises `CheckpointRefused` without a key or for a segment that none of them signed, and `ArchiveDamaged` for one
    that is not what was signed; what was put back before is in good order.
    """
    if not keys:
        raise CheckpointRefused(place.url, "no key was given, so no segment can be trusted; nothing was restored")
    segments = segments_of(place, store.tenant)
    archived = ArchivedEvents(place, store.tenant)
    if store.head() == 0:
        _begin(store, place, keys, segments, archived, rebuild)
    if 0 < store.head() == store.floor().size:
        _record(store, place, segments, clock)
    _record_returns(store, place, segments, clock)
    back: list[Segment] = []
    top = store.floor().size
    while (floor := store.floor().size) > start:
        index = next((i for i, one in enumerate(segments) if one.first + one.count == floor), None)
        if index is None:
            raise BadInput(f"{place.url}: no segment ends at {floor}, the store's first position; nothing was done")
        segment = segments[index]
        _check(place, keys, segment)
        tree = _tree_of(segments[:index], keys)
        store.put_back(floor, tree, archived.between(segment.first, floor))
        _record_returns(store, place, segments, clock)
        back.append(segment)
        progress(top - segment.first, top - start)
    return back


def _tree_of(segments: Sequence[Segment], keys: Sequence[VerifierKey]) -> TreeState:
    """The tree over whole segments: each is a node of it, so their peaks are its peaks."""
    frontier = Frontier()
    for segment in segments:
        verify(segment.checkpoint, keys, origin=origin_of(segment.tenant))
        if not segment.proves():
            raise ArchiveDamaged(segment.name, segment.first, "its root is not in the tree that its checkpoint signed")
        frontier.extend([segment.root])
    size = sum(segment.count for segment in segments)
    return TreeState(size, size.to_bytes(8, "big") + frontier.to_bytes()[8:])


def _check(place: ArchivePlace, keys: Sequence[VerifierKey], segment: Segment) -> None:
    payloads = place.fetch_again(segment.payloads_name) if segment.payloads_name in place.names() else None
    check_segment(place.fetch_again(segment.name), keys, payloads)


def _record_returns(
    store: HotStore, place: ArchivePlace, segments: Sequence[Segment], clock: Callable[[], int]
) -> None:
    """Say of each segment that is here that it came back, where the log said last that it left."""
    floor = store.floor().size
    with suppress(EventsArchived):  # a lost log is being put back, which was recorded once for all of it
        said = lives(system_events(store))
        for segment in segments:
            if segment.first >= floor and said.get(segment.first) == "segment.dropped":
                record_life(store, "segment.restored", segment, place, clock)


# -- a store that was lost -----------------------------------------------------------------------------------------


def _begin(
    store: HotStore,
    place: ArchivePlace,
    keys: Sequence[VerifierKey],
    segments: Sequence[Segment],
    archived: ArchivedEvents,
    rebuild: Rebuild,
) -> None:
    """Make the empty store one whose events have all left for this archive. It can be read with it from here on."""
    if not segments:
        raise BadInput(f"{place.url}: there is no segment here; nothing was restored")
    for segment in segments:
        _check(place, keys, segment)
    heads: dict[str, tuple[int, bytes]] = {}
    gone: list[tuple[str, Stretch]] = []

    def events() -> Iterator[RecordedEvent]:
        for segment in segments:
            here: dict[str, int] = {}
            for row in archived.between(segment.first, segment.first + segment.count, payloads=False):
                event = RecordedEvent(row.position, row.header)
                here.setdefault(event.stream, event.version)
                heads[event.stream] = (event.version + 1, event.leaf)
                yield event
            gone.extend((name, Stretch(segment.first, start, heads[name][0])) for name, start in here.items())

    source = events()
    views = rebuild(source)
    for _ in source:  # what the views did not ask for
        pass
    store.begin_at(
        _tree_of(segments, keys),
        ((name, version, leaf) for name, (version, leaf) in heads.items()),
        gone,
        (ViewRow(view, key, row) for view, rows in views.items() for key, row in rows.items()),
    )


def _record(store: HotStore, place: ArchivePlace, segments: Sequence[Segment], clock: Callable[[], int]) -> None:
    """Keep the checkpoints that are of what is here, and say in the log where all of it came from."""
    size = store.head()
    for segment in segments:
        if segment.signed.size <= size:
            store.add_checkpoint(segment.signed.size, segment.checkpoint)
    newest = max(segment.signed.size for segment in segments)
    facts = {"size": size, "signed": newest, "place": place.url}
    id_ = foreign_id("log.rebuilt", store.tenant, size, store.tree().frontier.hex())
    event = NewEvent("log.rebuilt", facts, to_text(clock()), Actor("system", "archive"), id_)
    with suppress(IdempotencyConflict):
        store.append([Append(system_stream(store.tenant), ANY, [event])])
