"""What sealing writes into the log itself: checkpoints with what others said of them, stream ends, key rotations.

All of it stands in the stream `system/<tenant>`, is covered by the next checkpoint, and can never be erased.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from actum.errors import CheckpointRefused
from actum.events import Actor, NewEvent, canonical, to_text, uuid7
from actum.events.checkpoint import Checkpoint, SigningKey, VerifierKey, parse_unverified
from actum.events.cosignature import Cosignature, WitnessKey, open_cosigned
from actum.events.epoch import verify_of
from actum.events.manifest import Manifest, StreamEnd
from actum.events.note import split_note, with_signatures
from actum.events.rotation import rotation_facts
from actum.events.timestamp import Stamp, check_stamp
from actum.eventstore.protocol import ANY, Append, EventStore
from actum.eventstore.sealing.sealer import origin_of, system_stream

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = [
    "SEALER",
    "record",
    "record_checkpoint",
    "record_cosigned",
    "record_rotation",
    "record_stamp",
    "seal_streams",
    "streams_at",
]

SEALER = Actor("system", "sealer")
Clock = Callable[[], int]


def record_checkpoint(
    store: EventStore, clock: Clock, note: str, expected: int = ANY, *, stamp: str | None = None
) -> None:
    """Append a checkpoint as an event: for the record, with what others said of it."""
    checkpoint = parse_unverified(note)
    payload = {"note": note} if stamp is None else {"note": note, "stamp": stamp}
    facts = {"size": checkpoint.size, "root": checkpoint.root.hex()}
    record(store, clock, "checkpoint.signed", facts, expected, canonical(payload))


def record_cosigned(
    store: EventStore, clock: Clock, note: str, keys: Sequence[VerifierKey], witnesses: Sequence[WitnessKey]
) -> list[Cosignature]:
    """Take back a checkpoint of this log that witnesses cosigned, and append it with their lines.

    Raises `CheckpointRefused` when it is not one that this log signed, or bears no cosignature of these witnesses.
    """
    signed = _signed_here(store, note, keys)
    found = open_cosigned(note, witnesses)
    if not found:
        raise CheckpointRefused(
            "note", f"bears no cosignature of {', '.join(key.name for key in witnesses) or 'a known witness'}"
        )
    record_checkpoint(store, clock, with_signatures(signed, note))
    return found


def record_stamp(
    store: EventStore, clock: Clock, note: str, keys: Sequence[VerifierKey], stamp: bytes, roots: Sequence[Certificate]
) -> Stamp:
    """Append an authority's response over a checkpoint of this log, once it is found right.

    Raises `TimestampRefused` when it is not, and `CheckpointRefused` when the note is not one that this log signed.
    """
    _signed_here(store, note, keys)
    checked = check_stamp(stamp, note, roots)
    record_checkpoint(store, clock, note, stamp=base64.b64encode(stamp).decode())
    return checked


def _signed_here(store: EventStore, note: str, keys: Sequence[VerifierKey]) -> str:
    """The log's own note of the same text."""
    checkpoint: Checkpoint = verify_of(origin_of(store.tenant), note, keys)
    ours = dict(store.checkpoints()).get(checkpoint.size)
    if ours is None or split_note(ours)[0] != split_note(note)[0]:
        raise CheckpointRefused("note", f"is not the checkpoint of size {checkpoint.size} that this log keeps")
    return ours


def record_rotation(store: EventStore, clock: Clock, old: SigningKey, new: SigningKey) -> None:
    """Append that `new` signs from here on, signed by both."""
    record(store, clock, "key.rotated", rotation_facts(origin_of(store.tenant), old, new), ANY, None)


def seal_streams(store: EventStore, clock: Clock) -> Manifest | None:
    """Append `streams.sealed`: where every stream ends now. None for an empty log.

    From the next checkpoint on, a stream given to an auditor is proved to be whole up to there.
    """
    size = store.tree().size
    if size == 0:
        return None
    manifest = streams_at(store, size)
    facts = {"size": size, "streams": manifest.count, "root": manifest.root().hex()}
    record(store, clock, "streams.sealed", facts, ANY, None)
    return manifest


def streams_at(store: EventStore, size: int) -> Manifest:
    """The ends of all streams when the log had this many events, which must be its size now or a little before."""
    ends = {name: StreamEnd(name, version, bytes(leaf)) for name, version, leaf in store.streams()}
    first_after: dict[str, tuple[int, str | None]] = {}
    for event in store.read(after=size - 1, payloads=False):
        first_after.setdefault(event.stream, (event.version, event.prev))
    for stream, (version, prev) in first_after.items():
        if prev is None:
            ends.pop(stream, None)
        else:
            ends[stream] = StreamEnd(stream, version, bytes.fromhex(prev))
    return Manifest(ends.values())


def record(
    store: EventStore, clock: Clock, type_: str, facts: dict[str, object], expected: int, payload: bytes | None
) -> None:
    """Append one event that the sealer makes."""
    now = clock()
    event = NewEvent(
        type=type_,
        facts=facts,
        at=to_text(now),
        actor=SEALER,
        id=uuid7(now, random.getrandbits(62)),
        payload=payload,
        payload_class="public",
    )
    store.append([Append(system_stream(store.tenant), expected, [event])])
