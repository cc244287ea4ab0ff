"""Letting archived segments leave the store: lowest first, each only after its copy was proved once more.

The order is: prove, record, drop. Killed between any two, the next run does the rest; all reads are right meanwhile,
because a store drops a segment in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from actum.archive.archiving import newest_signed, system_events, trust_in
from actum.archive.places import ArchivePlace
from actum.archive.reading import ArchivedEvents, events_in
from actum.archive.segment import Segment, check_segment, read_segment
from actum.errors import ArchiveDamaged, IdempotencyConflict, StoreDamaged
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id, leaf_hash, to_text
from actum.events.checkpoint import VerifierKey
from actum.events.merkle import Frontier
from actum.events.rotation import Trust
from actum.eventstore import ANY, Append, EventStore, TreeState
from actum.eventstore.floor import HotStore
from actum.eventstore.sealing.sealer import system_stream

__all__ = ["drop_archived", "lives", "record_life"]

Progress = Callable[[int, int], None]
_PAGE = 4_096


def _silent(done: int, total: int) -> None:
    pass


def _now_us() -> int:
    return time.time_ns() // 1000


def drop_archived(
    store: HotStore,
    place: ArchivePlace,
    keys: Sequence[VerifierKey],
    *,
    keep_events: int = 0,
    keep_days: float = 0,
    progress: Progress = _silent,
    clock: Callable[[], int] = _now_us,
) -> list[Segment]:
    """Let the archived segments go that the newest `keep_events` events and the last `keep_days` days do not touch.

    A segment goes when `segment.archived` is in the log and under a checkpoint that one of the keys signed, when its
    copy, fetched again, hashes to the signed root, and when it says byte for byte what the store says. Each is recorded
    as `segment.dropped` before it goes. Returns those that went.

    Raises `CheckpointRefused` without a key or for a copy that none of them signed, `ArchiveDamaged` when the copy, and
    `StoreDamaged` when the store, is not what was signed; whatever went before that is gone in good order.
    """
    signed = newest_signed(store, keys)
    size = 0 if signed is None else signed[0].size
    own = system_events(store)
    trust = trust_in(own, store.tenant, keys)
    archived = {e.facts["first"]: e.facts for e in own if e.type == "segment.archived" and e.position < size}
    dropped = lives(own)
    before = to_text(clock() - round(keep_days * 86_400_000_000))
    head = store.head()
    gone: list[Segment] = []
    while (about := archived.get(floor := store.floor().size)) is not None:
        end = floor + about["count"]
        if end > head - keep_events or (keep_days and _recorded_at(store, end - 1) > before):
            break
        segment, path, payloads = _proved(place, trust, floor)
        if (segment.count, segment.root.hex()) != (about["count"], about["root"]):
            raise ArchiveDamaged(place.url, floor, "another segment was archived than the one that is there")
        new, leaving = _same(store, path, ArchivedEvents(place, store.tenant) if payloads else None, segment)
        if dropped.get(floor) != "segment.dropped":
            record_life(store, "segment.dropped", segment, place, clock)
        store.drop(floor, new, leaving, keep=system_stream(store.tenant))
        gone.append(segment)
        progress(end, head)
    return gone


def lives(own: Iterable[RecordedEvent]) -> dict[int, str]:
    """By first position: whether the log said last that a segment was dropped or restored."""
    said: dict[int, str] = {}
    for event in own:
        if event.type in ("segment.dropped", "segment.restored"):
            said[event.facts["first"]] = event.type
        elif event.type == "log.rebuilt":
            said = {first: event.type if first < event.facts["size"] else type_ for first, type_ in said.items()}
    return said


def record_life(store: EventStore, type_: str, segment: Segment, place: ArchivePlace, clock: Callable[[], int]) -> None:
    """Append that a segment leaves, or came back; of two processes that do so at once, one does."""
    facts = {"first": segment.first, "count": segment.count, "root": segment.root.hex(), "place": place.url}
    stream = system_stream(store.tenant)
    turns = sum(1 for e in system_events(store) if e.type == type_ and e.facts["first"] == segment.first)
    id_ = foreign_id(type_, store.tenant, segment.first, segment.root.hex(), turns)
    event = NewEvent(type_, facts, to_text(clock()), Actor("system", "archive"), id_)
    with suppress(IdempotencyConflict):
        store.append([Append(stream, ANY, [event])])


def _recorded_at(store: EventStore, position: int) -> str:
    (event,) = store.read(position - 1, 1, payloads=False)
    return event.recorded_at


def _proved(place: ArchivePlace, trust: Trust, first: int) -> tuple[Segment, Path, Path | None]:
    """The copy as the place has it now, hashed to a root that one of the keys signed."""
    name = f"{first:012d}.parquet"
    path = place.fetch_again(name)
    segment = read_segment(path)
    payloads = place.fetch_again(segment.payloads_name) if segment.payloads_name in place.names() else None
    check_segment(path, trust, payloads)
    if segment.name != name:
        raise ArchiveDamaged(place.url, first, f"{name} holds events from {segment.first} on")
    return segment, path, payloads


def _same(
    store: HotStore, path: Path, archived: ArchivedEvents | None, segment: Segment
) -> tuple[TreeState, list[int]]:
    """The tree with the segment, and the positions whose payloads the copy has, once both say the same everywhere."""
    end = segment.first + segment.count
    copy = events_in(path, segment.first, end) if archived is None else archived.between(segment.first, end)
    frontier = Frontier.from_bytes(store.floor().frontier)
    leaves: list[bytes] = []
    leaving: list[int] = []
    for theirs, ours in zip_longest(copy, store.read_raw(segment.first - 1, segment.count)):
        if theirs is None or ours is None or ours[:6] != theirs[:6]:
            at = segment.first + frontier.size % segment.count + len(leaves)
            raise StoreDamaged(at, "it is not what was archived and signed, so nothing was dropped")
        if theirs.payload is not None and (theirs.salt, theirs.payload) == (ours.salt, ours.payload):
            leaving.append(ours.position)
        leaves.append(leaf_hash(ours.header))
        if len(leaves) == _PAGE:
            frontier.extend(leaves)
            leaves.clear()
    frontier.extend(leaves)
    return TreeState(frontier.size, frontier.to_bytes()), leaving
