"""Taking archived events back: into the store that they left, or into a new one when the store was lost.

From the top down, segment by segment, so the store has no hole at any moment; killed anywhere, the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import orjson

from actum.archive.archiving import segments_of, system_events, trust_in
from actum.archive.dropping import lives, record_life
from actum.archive.places import ArchivePlace
from actum.archive.reading import ArchivedEvents
from actum.archive.segment import Segment, check_segment
from actum.archive.whole import WholeStore
from actum.errors import ArchiveDamaged, BadInput, CheckpointRefused, EventsArchived, IdempotencyConflict
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id, to_text
from actum.events.checkpoint import VerifierKey
from actum.events.epoch import verify_of
from actum.events.merkle import Frontier
from actum.events.rotation import Trust
from actum.eventstore import ANY, Append, RawEvent, TreeState
from actum.eventstore.check.views import Rebuild, rows_in, rows_of
from actum.eventstore.custody.erasures import Erasures, read_custody
from actum.eventstore.floor import HotStore, Stretch
from actum.eventstore.sealing.sealer import origin_of, system_stream

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
    whole = WholeStore(store, place)
    own = system_events(whole) if store.head() else archived.own(segments)
    trust = trust_in(own, store.tenant, keys)
    if store.head() == 0:
        _begin(store, place, trust, segments, archived, rebuild)
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
        _check(place, trust, segment)
        tree = _tree_of(segments[:index], trust)
        erasures = read_custody(whole).erasures
        store.put_back(floor, tree, _without(erasures, archived.between(segment.first, floor)))
        _record_returns(store, place, segments, clock)
        back.append(segment)
        progress(top - segment.first, top - start)
    return back


def _tree_of(segments: Sequence[Segment], trust: Trust) -> TreeState:
    """The tree over whole segments: each is a node of it, so their peaks are its peaks."""
    frontier = Frontier()
    for segment in segments:
        verify_of(origin_of(segment.tenant), segment.checkpoint, trust.keys_at(segment.signed.size))
        if not segment.proves():
            raise ArchiveDamaged(segment.name, segment.first, "its root is not in the tree that its checkpoint signed")
        frontier.extend([segment.root])
    size = sum(segment.count for segment in segments)
    return TreeState(size, size.to_bytes(8, "big") + frontier.to_bytes()[8:])


def _without(erasures: Erasures, rows: Iterable[RawEvent]) -> Iterator[RawEvent]:
    """The events without the payloads that the log says are erased, should the archive still have some."""
    for row in rows:
        if row.payload is not None and erasures.reaching_any(row.position, orjson.loads(row.header)):
            row = row._replace(salt=None, payload=None)
        yield row


def _check(place: ArchivePlace, trust: Trust, segment: Segment) -> None:
    payloads = place.fetch_again(segment.payloads_name) if segment.payloads_name in place.names() else None
    check_segment(place.fetch_again(segment.name), trust, payloads)


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
    trust: Trust,
    segments: Sequence[Segment],
    archived: ArchivedEvents,
    rebuild: Rebuild,
) -> None:
    """Make the empty store one whose events have all left for this archive. It can be read with it from here on."""
    if not segments:
        raise BadInput(f"{place.url}: there is no segment here; nothing was restored")
    for segment in segments:
        _check(place, trust, segment)
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
    rows = rows_in(rebuild(source))
    for _ in source:  # what the views did not ask for
        pass
    store.begin_at(
        _tree_of(segments, trust),
        ((name, version, leaf) for name, (version, leaf) in heads.items()),
        gone,
        rows_of(rows),
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
