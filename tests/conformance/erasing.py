"""Logs with subjects, and what is asked of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actum.events import Actor, RecordedEvent
from actum.eventstore import ANY, Append, EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Check
from actum.eventstore.custody.custodian import place_hold
from actum.testing.builders import event, execution_row
from actum.testing.clock import NOON_US

OFFICER = Actor("person", "p-dpo")
ANNA, BERT = "anna@example.org", "bert@example.org"
DAY_US = 86_400_000_000
FAR_US = NOON_US + 1_000 * DAY_US
"""Long after everything here was recorded."""


def write(
    store: EventStore,
    name: str,
    subject: str | None = None,
    *,
    stream: str = "execution/a",
    payload_class: Any = "personal",
    personal: tuple[str, ...] = (),
    type: str = "step.completed",
    status: str = "completed",
) -> RecordedEvent:
    """An event with a payload, under the subject's key, and a row for its execution; as the store reads it."""
    new = event(name, type, b'{"name":"%s","n":1}' % name.encode())
    key = None if subject is None else store.key_for(subject)
    new = replace(new, key=key, payload_class=payload_class, personal=personal)
    id_ = stream.partition("/")[2]
    rows = [execution_row(id_, status=status)] if stream.startswith("execution/") else []
    position = store.append([Append(stream, ANY, [new], rows)]).first_position
    return at(store, position)


def at(store: EventStore, position: int) -> RecordedEvent:
    return next(store.read(position - 1, 1))


def now() -> int:
    return FAR_US


def hold(store: EventStore, **options: Any) -> str:
    return place_hold(store, **{"reason": "a case", "by": OFFICER, "clock": now} | options)


def payloads(store: EventStore) -> Check:
    return next(check for check in check_store(store).checks if check.name == "payloads")
