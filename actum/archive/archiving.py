"""Moving whole segments out: found in the log, proved against a signed checkpoint, copied, re-read and recorded."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from actum.archive.places import ArchivePlace
from actum.archive.segment import (
    SEGMENT_EVENTS,
    Segment,
    check_segment,
    read_segment_at,
    write_payloads,
    write_segment,
)
from actum.archive.tiles import put_tiles
from actum.errors import ArchiveDamaged, BadInput, CheckpointRefused, IdempotencyConflict
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id, leaf_hash, to_text
from actum.events.checkpoint import Checkpoint, VerifierKey
from actum.events.epoch import verify_of
from actum.events.merkle import Frontier, inclusion_proof, root_of
from actum.events.rotation import Trust, follow
from actum.eventstore import ANY, Append, EventStore, RawEvent
from actum.eventstore.sealing.sealer import origin_of, rotations_in, system_stream

__all__ = ["archive_log", "newest_signed", "segments_of", "system_events", "trust_in"]

Progress = Callable[[int, int], None]
"""Hears how many events are done, of how many."""

_PAGE = 4_096


def _silent(done: int, total: int) -> None:
    pass


def archive_log(
    store: EventStore,
    place: ArchivePlace,
    keys: Sequence[VerifierKey],
    *,
    segment_events: int = SEGMENT_EVENTS,
    progress: Progress = _silent,
    clock: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> list[Segment]:
    """Archive every whole segment that the newest trusted checkpoint covers and the place does not have yet.

    Each one is read back and re-hashed to the signed root before `segment.archived` is appended; the tiles that become
    complete by it are put beside it. Returns the new ones.
    Killed at any point, the next run completes it. Raises `CheckpointRefused` when nothing that one of the keys has
    signed covers a segment's events truly, and `ArchiveDamaged` when the place holds another log's segments.
    """
    if segment_events < 1 or segment_events & (segment_events - 1):
        raise BadInput(f"a segment has a power of two of events, not {segment_events}")
    found = newest_signed(store, keys)
    whole = 0 if found is None else found[0].size // segment_events
    there = segments_of(place, store.tenant, segment_events)
    if found is None or whole <= len(there):
        _record(store, place, there, clock)
        return []
    trust = trust_in(system_events(store), store.tenant, keys)
    signed, note = found
    blocks = [segment.root for segment in there]
    start = len(there) * segment_events
    for root in _roots(store, start, signed.size, segment_events, progress):
        blocks.append(root)
    if root_of(blocks) != signed.root:
        raise CheckpointRefused(
            store.url,
            f"the log's events and the segments at {place.url} do not give the root that was signed at size "
            f"{signed.size}; nothing was archived",
        )
    new: list[Segment] = []
    with tempfile.TemporaryDirectory(prefix="actum-segment-") as here:
        for index in range(len(there), whole):
            first = index * segment_events
            proof = inclusion_proof(blocks, index, len(blocks))
            segment = Segment(store.tenant, first, segment_events, blocks[index], proof, note)
            _put(store, place, trust, segment, Path(here))
            new.append(segment)
            progress(first + segment_events, whole * segment_events)
    _record(store, place, [*there, *new], clock)
    return new


def segments_of(place: ArchivePlace, tenant: str, segment_events: int | None = None) -> list[Segment]:
    """The place's segments of this tenant's log, from the first event on without a gap, as they describe themselves."""
    found: list[Segment] = []
    for name in place.names():
        if name.endswith(".payloads.parquet"):
            continue
        segment = read_segment_at(place, name)
        wanted = segment_events or (found[0].count if found else segment.count)
        if segment.tenant != tenant:
            raise ArchiveDamaged(place.url, segment.first, f"{name} is of tenant {segment.tenant!r}, not {tenant!r}")
        if segment.name != name or segment.count != wanted:
            raise ArchiveDamaged(
                place.url, segment.first, f"{name} holds {segment.count} events from {segment.first} on, not {wanted}"
            )
        if segment.first != len(found) * wanted:
            raise ArchiveDamaged(place.url, len(found) * wanted, f"its segment is missing; the next is {name}")
        found.append(segment)
    return found


def system_events(store: EventStore) -> list[RecordedEvent]:
    """What the log says of itself, in order."""
    return store.read_stream(system_stream(store.tenant))


def trust_in(own: Iterable[RecordedEvent], tenant: str, keys: Sequence[VerifierKey]) -> Trust:
    """Which keys count for which sizes, when these are trusted and these events are the log's own."""
    return follow(keys, rotations_in(own, origin_of(tenant)))[0]


def newest_signed(store: EventStore, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, str] | None:
    """The newest checkpoint that a trusted key has signed, or one to which rotations in the log lead from it."""
    if not keys:
        raise CheckpointRefused(store.url, "no key was given, so no checkpoint can be trusted; nothing was archived")
    trust = trust_in(system_events(store), store.tenant, keys)
    for size, note in reversed(store.checkpoints()):
        try:
            return verify_of(origin_of(store.tenant), note, trust.keys_at(size)), note
        except CheckpointRefused:
            continue
    return None


def _roots(store: EventStore, start: int, end: int, count: int, progress: Progress) -> Iterator[bytes]:
    """The root of each stretch of `count` events; the last may be shorter."""
    frontier = Frontier()
    position = start
    leaves: list[bytes] = []
    for event in store.read_raw(start - 1, end - start):
        if event.position != position:
            raise ArchiveDamaged(store.url, position, f"the log gave position {event.position} instead")
        position += 1
        leaves.append(leaf_hash(event.header))
        if len(leaves) == _PAGE or position % count == 0:
            frontier.extend(leaves)
            leaves.clear()
            progress(position, end)
        if position % count == 0:
            yield frontier.root()
            frontier = Frontier()
    if position != end:
        raise ArchiveDamaged(store.url, position, f"the log ends here, but {end} events were signed")
    frontier.extend(leaves)
    if frontier.size:
        yield frontier.root()


def _put(store: EventStore, place: ArchivePlace, trust: Trust, segment: Segment, here: Path) -> None:
    def events() -> Iterator[RawEvent]:
        return store.read_raw(segment.first - 1, segment.count)

    leaves: list[bytes] = []

    def hashed() -> Iterator[RawEvent]:
        for event in events():
            leaves.append(leaf_hash(event.header))
            yield event

    headers, payloads = here / segment.name, here / segment.payloads_name
    write_segment(headers, segment, hashed())
    write_payloads(payloads, events())
    put_tiles(place, store.tenant, segment.first, leaves)
    try:
        place.put(segment.payloads_name, payloads)  # first: a segment that is there is whole
    except ArchiveDamaged:
        if segment.name in place.names():
            raise
        place.replace(segment.payloads_name, payloads)  # left by a run that was killed; some were erased since
    place.put(segment.name, headers)
    headers.unlink()
    payloads.unlink()
    check_segment(place.fetch(segment.name), trust, place.fetch(segment.payloads_name))


def _record(store: EventStore, place: ArchivePlace, segments: Sequence[Segment], clock: Callable[[], int]) -> None:
    """See that each segment stands in the log as `segment.archived`; once is enough."""
    stream = system_stream(store.tenant)
    known = {event.facts["first"] for event in system_events(store) if event.type == "segment.archived"}
    for segment in segments:
        if segment.first in known:
            continue
        facts = {"first": segment.first, "count": segment.count, "root": segment.root.hex()}
        id_ = foreign_id("segment.archived", store.tenant, segment.first, segment.root.hex())
        at = to_text(clock())
        event = NewEvent("segment.archived", facts, at, Actor("system", "archive"), id_)
        with suppress(IdempotencyConflict):  # another process recorded it between our look and our append
            store.append([Append(stream, ANY, [event])])
