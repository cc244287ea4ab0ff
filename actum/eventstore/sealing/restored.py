"""Going on after a restore that lost signed events: under a new origin, with the loss recorded for ever.

Who kept a checkpoint of the lost part will find it gone; the log says why before they ask.
"""

from __future__ import annotations

from actum.errors import BadInput, LogForked
from actum.events import canonical
from actum.events.checkpoint import Checkpoint, SigningKey, parse_unverified
from actum.events.epoch import restored_facts
from actum.events.merkle import Frontier
from actum.eventstore.protocol import EventStore
from actum.eventstore.sealing.checkpoint_store import CheckpointStore
from actum.eventstore.sealing.record import Clock, record
from actum.eventstore.sealing.sealer import Sealer, epochs_in, origin_of, system_stream

__all__ = ["begin_epoch"]

MAX_REASON = 4_000


def begin_epoch(store: EventStore, key: SigningKey, kept: CheckpointStore, clock: Clock, reason: str) -> LogForked:
    """Record that signed events are lost, and sign the log under its next origin; answers what the fork was.

    Appends `log.restored`, which this key signs, and then the first checkpoint of the new epoch, which replaces the
    abandoned one where it is kept. Raises `BadInput` when the reason says nothing, and when the log is what was
    signed: then it lost nothing, and was signed as usual. Of two that begin an epoch at once, one is refused with
    `VersionConflict`. Killed after the event, the next sealer does the rest.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise BadInput(f"say in 1 to {MAX_REASON} characters why events are lost: it stays in the log")
    sealer = Sealer(store, key, kept)
    stream = system_stream(store.tenant)
    version = store.stream_version(stream)
    try:
        sealer.seal()
    except LogForked as exc:
        fork = exc
    else:
        raise BadInput("the log is what was signed: nothing is lost, so no new epoch was begun")
    note = kept.latest()
    if note is None:
        raise BadInput("no checkpoint is kept apart from this log, so it cannot be said what was lost") from fork
    abandoned = parse_unverified(note)
    size, frontier = store.tree()
    log = origin_of(store.tenant)
    epochs = epochs_in(store.read_stream(stream), log, None, size)
    found = Checkpoint(log, size, Frontier.from_bytes(frontier).root())
    agreed = min(fork.agrees_to, abandoned.size)
    facts = restored_facts(log, epochs.number + 1, abandoned, agreed, found, key)
    record(store, clock, "log.restored", facts, version, canonical({"reason": reason, "note": note}))
    sealer.seal()
    return fork
