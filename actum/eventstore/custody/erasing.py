"""Erasing: what stands against it, the word in the log, and then the destruction, in that order.

The erasure is recorded before anything is destroyed. So a crash on the way leaves payloads that the log says are
gone: `actum verify` names them, and `finish` destroys what is left by the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from actum.errors import BadInput, ErasureRefused, EventsArchived, VersionConflict
from actum.events import Actor, PartName, to_text
from actum.eventstore.custody.custodian import check_reason, record
from actum.eventstore.custody.erasures import Custody, Erasure, read_custody
from actum.eventstore.custody.holds import Hold, Holds, pieces_of
from actum.eventstore.protocol import EventStore

if TYPE_CHECKING:
    from actum.eventstore.floor import HotStore

__all__ = ["Found", "Left", "drop", "erase_subject", "find_subject", "finish", "not_ended", "unfinished"]

_ENDED = frozenset({"completed", "failed", "cancelled"})
_AT_ONCE = 500
_LATEST = 1_000

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Found:
    """What is filed under a subject, and what stands against erasing it. `unfinished` keys are erased by the log."""

    keys: tuple[str, ...]
    unfinished: tuple[str, ...]
    payloads: dict[str, int]
    """By key."""
    executions: dict[str, tuple[str, ...]]
    """By key, the ids of the executions with payloads under it."""
    running: tuple[str, ...]
    holds: tuple[Hold, ...]
    counted_from: int = 0
    """Below this position nothing was counted: the headers are in an archive that was not at hand."""

    @property
    def refused(self) -> ErasureRefused | None:
        if not (self.holds or self.running):
            return None
        return ErasureRefused(tuple(hold.id for hold in self.holds), self.running)


def find_subject(store: EventStore, subject: str, custody: Custody, now: str) -> Found:
    """Look through the log for what is under the subject's keys; nothing is changed.

    Without the archive, what has left is not counted. Raises `EventsArchived` where it might stand against erasing: an
    execution that is held, or has not ended, whose events have left.
    """
    keys = store.keys_of(subject)
    payloads = dict.fromkeys(keys, 0)
    streams: dict[str, dict[str, None]] = {key: {} for key in keys}
    holds: dict[str, Hold] = {}
    in_force = custody.holds.in_force(now)
    for hold in in_force:
        if hold.everything or hold.keys.intersection(keys):
            holds[hold.id] = hold
    floor = store.floor().size
    for event in store.read(floor - 1, payloads=False) if keys else ():
        for piece in pieces_of(event.position, event.head):
            if piece.key in payloads:
                payloads[piece.key] += 1
                streams[piece.key][piece.stream] = None
                holds |= {hold.id: hold for hold in in_force if hold.covers(piece)}
    fresh = [key for key in keys if custody.erasures.of_key(key) is None]
    executions = {
        key: tuple(stream.removeprefix("execution/") for stream in found if stream.startswith("execution/"))
        for key, found in streams.items()
    }
    if fresh and floor:
        _check_departed(cast("HotStore", store), floor, [hold for hold in in_force if hold.id not in holds])
    running = not_ended(store, {id_ for key in fresh for id_ in executions[key]})
    unfinished = tuple(key for key in keys if key not in fresh)
    against = tuple(holds.values()) if fresh else ()
    return Found(tuple(keys), unfinished, payloads, executions, running, against, floor)


def _check_departed(store: HotStore, floor: int, holds: Iterable[Hold]) -> None:
    """See that no execution whose beginning cannot be read is held or under way: it may hold what is to be erased."""
    held = {stream for hold in holds for stream in hold.streams}
    under_way = {f"execution/{row['id']}" for row in store.view("executions") if _is_under_way(row)}
    for stream in sorted(held | under_way):
        for part in store.departed(stream):
            raise EventsArchived(store.url, stream, part.start, floor)


def not_ended(store: EventStore, executions: Iterable[str]) -> tuple[str, ...]:
    """Those of these executions that actum runs and that have not come to an end."""
    ids = sorted(executions)
    found: list[str] = []
    for start in range(0, len(ids), _AT_ONCE):
        rows = store.view("executions", {"id": tuple(ids[start : start + _AT_ONCE])})
        found += [row["id"] for row in rows if _is_under_way(row)]
    return tuple(found)


def _is_under_way(row: dict[str, Any]) -> bool:
    return row["status"] not in _ENDED and row["kind"] != "import"


def erase_subject(
    store: EventStore,
    subject: str,
    *,
    basis: str,
    reason: str,
    by: Actor,
    clock: Clock,
    force: bool = False,
) -> Found:
    """Destroy every payload under the subject's keys, the keys, and the subject's name; what was found before.

    Raises `ErasureRefused` while a hold covers one of them or an execution with one has not ended, unless `force`:
    then the log says against what it was done. Raises `BadInput` for a reason that is none, or names the subject. In
    both cases nothing was done. Erasing what is erased, or was never there, does nothing and is no error; a crash on
    the way is completed by the next call.
    """
    check_reason(reason, subject)
    while True:
        custody = read_custody(store)
        found = find_subject(store, subject, custody, to_text(clock()))
        fresh = [key for key in found.keys if key not in found.unfinished]
        if not fresh:
            break
        if found.refused is not None and not force:
            raise found.refused
        facts = [_facts(found, key, basis) for key in fresh]
        try:
            record(store, clock, "payload.erased", facts, by, {"reason": reason}, expected=custody.version)
        except VersionConflict:
            continue  # perhaps a hold was placed meanwhile: look again
        break
    # From here on the log says that they are gone. A crash before the end of this is completed by the next call.
    # The name goes first; so when nothing is found, it may be a name whose erasure was interrupted after that.
    for key in found.keys or custody.erasures.keys:
        _destroy(store, key)
    store.scrub()
    return found


def _destroy(store: EventStore, key: str) -> int:
    try:
        return store.destroy_key(key)
    except BadInput:
        return 0  # this store has no such key: it was restored without


def _facts(found: Found, key: str, basis: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "basis": basis,
        "key": key,
        "payloads": found.payloads[key],
        "executions": len(found.executions[key]),
    }
    if found.counted_from:
        facts["counted_from"] = found.counted_from
    if found.refused is not None:
        facts["forced"] = True
        if found.holds:
            facts["against"] = [hold.id for hold in found.holds]
        running = len(set(found.running).intersection(found.executions[key]))
        if running:
            facts["running"] = running
    return facts


# -- what the log says is gone, and is still there ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Left:
    """What `finish` has found left to do, and done: keys that were still alive, and payloads."""

    keys: int
    payloads: int


def unfinished(store: EventStore) -> set[str]:
    """The data keys that the log said lately are erased, and under which something is still here.

    Quick, for whoever opens the store: it looks at the latest thousand events of the log's own stream, and at keys. A
    rule of retention that was interrupted is completed by its next run; `actum verify` finds all that is left.
    """
    stream = f"system/{store.tenant}"
    latest = store.read_stream(stream, max(0, store.stream_version(stream) - _LATEST))
    said = (Erasure.of(event, Holds()) for event in latest if event.type == "payload.erased")
    return store.keys_left({erasure.key for erasure in said if erasure.key is not None and erasure.whole_key})


def finish(store: EventStore) -> Left:
    """Destroy whatever the log says is erased and is still there; reads the whole log when rules erased something."""
    custody = read_custody(store)
    alive = sum(key in custody.erasures.keys for key, _, _ in store.subjects())
    payloads = sum(_destroy(store, key) for key in custody.erasures.keys)
    if custody.erasures.rules():
        payloads += drop(store, custody.erasures.rules())
    store.scrub(thorough=True)
    return Left(alive, payloads)


def drop(store: EventStore, rules: Iterable[Erasure]) -> int:
    """Destroy the payloads that these erasures reach, all of which have `before`; how many were still there."""
    listed = list(rules)
    end = max((rule.position for rule in listed), default=0)  # they look back from where they stand
    dropped = 0
    pages: dict[PartName, list[int]] = {"payload": [], "personal": []}
    for event in store.read(limit=end, payloads=False):
        for piece in pieces_of(event.position, event.head):
            if any(rule.reaches(piece) for rule in listed):
                page = pages[piece.part]
                page.append(piece.position)
                if len(page) == _AT_ONCE:
                    dropped += store.drop_payloads(page, piece.part)
                    page.clear()
    return dropped + sum(store.drop_payloads(page, part) for part, page in pages.items() if page)
