"""A sealer that runs: it signs when the log has grown, and at least once an hour even when nothing happened.

An hour without events is signed too: a `checkpoint.signed` event says, with its time, that the log was still at the
size it had, and the next checkpoint covers it. So a log in which nothing happened is told from one that was lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

from actum.errors import StoreRefused, StoreUnavailable, VersionConflict
from actum.events import to_us
from actum.events.checkpoint import Checkpoint
from actum.eventstore.protocol import EventStore
from actum.eventstore.sealing.record import Clock, record_checkpoint, seal_streams
from actum.eventstore.sealing.sealer import Sealer, system_stream

__all__ = ["run_sealer", "seal_streams_when_due", "sign_empty_interval"]

log = logging.getLogger(__name__)


def run_sealer(
    sealer: Sealer,
    store: EventStore,
    clock: Clock,
    stop: Event,
    *,
    every_s: float = 10,
    at_least_every_s: float = 3600,
    on_signed: Callable[[Checkpoint], None] = lambda _: None,
) -> None:
    """Seal until told to stop. What a store cannot do now is tried again at the next turn; a fork ends it, loudly.

    The first turn raises whatever goes wrong, so that a wrong setting shows at once. Every `at_least_every_s` the ends
    of all streams are recorded too, when anything but sealing happened since.
    """
    first = True
    while first or not stop.wait(every_s):
        try:
            sealed_streams = seal_streams_when_due(store, clock, at_least_every_s)
            if not sealed_streams:
                sign_empty_interval(store, clock, at_least_every_s)
            signed = sealer.seal()
            if signed is not None:
                on_signed(signed)
        except (StoreUnavailable, StoreRefused) as exc:
            if first:
                raise
            log.warning("sealing has to wait", extra={"store": store.url, "problem": str(exc)})
        first = False


def sign_empty_interval(store: EventStore, clock: Clock, after_s: float) -> bool:
    """When the log's last event is older than this, say in the log that nothing happened; the next checkpoint says it.

    Whether one was written. Of several sealers one writes it.
    """
    size = store.head()
    signed = store.checkpoints()
    if size == 0 or not signed or signed[-1][0] != size:
        return False
    (last,) = store.read(after=size - 2, limit=1, payloads=False)
    if clock() - to_us(last.recorded_at) < after_s * 1_000_000:
        return False
    stream = system_stream(store.tenant)
    # With the version from before the look, a second sealer of the same moment is refused.
    version = store.stream_version(stream)
    if store.head() != size:
        return False
    try:
        record_checkpoint(store, clock, signed[-1][1], version)
    except VersionConflict:
        return False
    return True


def seal_streams_when_due(store: EventStore, clock: Clock, every_s: float) -> bool:
    """Record the ends of all streams when the last record is older than this and the log has grown by more than it."""
    last = next(
        (e for e in reversed(store.read_stream(system_stream(store.tenant))) if e.type == "streams.sealed"), None
    )
    if last is not None and clock() - to_us(last.recorded_at) < every_s * 1_000_000:
        return False
    if last is not None:
        since = store.head() - 1 - last.position
        if since == store.stream_version(last.stream) - 1 - last.version:
            return False  # nothing but what the log says of itself
    return seal_streams(store, clock) is not None
