"""Dead letters: events that a subscription could not take, recorded in the log itself, so that it can go on."""

from __future__ import annotations

import orjson

from actum.errors import IdempotencyConflict
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id, to_text
from actum.eventstore.protocol import ANY, Append, EventStore

__all__ = ["DEAD_LETTERED", "buried", "bury", "stream_of"]

DEAD_LETTERED = "subscription.dead_lettered"
_LATEST = 1024  # a group has no more members, and each can be at most one dead letter ahead of its mark


def stream_of(subscription: str) -> str:
    """The stream with the events about a subscription."""
    return f"subscription/{subscription}"


def bury(store: EventStore, subscription: str, event: RecordedEvent, error: Exception, attempts: int, at: int) -> None:
    """Record that an event was given up.

    What the error says may hold what the event holds, so it has its class and lies under its data key: whoever erases
    the one erases the other.
    """
    whole, apart = event.head.get("payload"), event.head.get("personal")
    about = {"class": "personal", **apart} if apart is not None else whole
    letter = NewEvent(
        DEAD_LETTERED,
        {
            "subscription": subscription,
            "source": event.id,
            "position": event.position,
            "source_type": event.type,
            "attempts": attempts,
            "error_type": type(error).__name__[:256],
        },
        to_text(at),
        Actor("service", "subscription"),
        id=foreign_id("dead letter", store.tenant, subscription, event.id),
        payload=orjson.dumps({"message": str(error)[:4000].encode(errors="replace").decode()}),
        payload_class=about["class"] if about is not None else "business",
        key=about.get("key") if about is not None else None,
    )
    try:
        store.append([Append(stream_of(subscription), ANY, [letter])])
    except IdempotencyConflict:
        return  # given up before, with other words


def buried(store: EventStore, subscription: str) -> set[str]:
    """The ids of the events that were given up last: a crash may have come before the mark went past them."""
    stream = stream_of(subscription)
    last = store.read_stream(stream, max(0, store.stream_version(stream) - _LATEST))
    return {event.facts["source"] for event in last if event.type == DEAD_LETTERED}
