"""A small log with everything in it, and the fold that its views follow from."""

from __future__ import annotations

from collections.abc import Iterator

from actum.events import RecordedEvent
from actum.eventstore import ANY, Append, EventStore, ViewRow
from actum.testing.builders import event, execution_row, signed

__all__ = ["STREAMS", "fill", "rebuild"]

STREAMS = ("s/a", "s/b", "s/c")


def rebuild(events: Iterator[RecordedEvent]) -> list[ViewRow]:
    """The views of these tests: one execution for each stream, whose error type is its last event's id."""
    return [execution_row(recorded.stream, error_type=recorded.id) for recorded in events]


def fill(store: EventStore) -> None:
    """Thirty events, round-robin over three streams, every second with a payload; checkpoints at 10 and 20."""
    for i in range(30):
        stream = STREAMS[i % 3]
        new = event(i, payload=b'{"n":%d}' % i if i % 2 else None)
        store.append([Append(stream, ANY, [new], [execution_row(stream, error_type=new.id)])])
        if i in (9, 19):
            store.add_checkpoint(i + 1, signed(store, i + 1))
