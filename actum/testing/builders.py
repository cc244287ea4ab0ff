"""Short ways to make valid events whose ids and times follow from their names, so that a test can say them again."""

from __future__ import annotations

from typing import Any

from actum.events import Actor, NewEvent, foreign_id, to_text
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.merkle import root_of
from actum.eventstore import ANY, Append, Batch, EventStore, ViewRow
from actum.testing.clock import NOON_US

__all__ = ["KEY", "STREAM", "WORKER", "approval_row", "batch", "event", "event_id", "execution_row", "signed"]

STREAM = "execution/one"
WORKER = Actor("worker", "w-1")
KEY = SigningKey.generate("actum/default", seed=bytes(range(32)))
"""A key for checkpoints in tests. Anybody can know it."""


def event_id(name: str | int) -> str:
    """The id of the event of this name."""
    return foreign_id("test", name)


def event(
    name: str | int,
    /,
    type: str = "step.completed",
    payload: bytes | None = None,
    *,
    actor: Actor = WORKER,
    at_s: float = 0,
    **facts: Any,
) -> NewEvent:
    """An event of this name, `at_s` seconds after noon. Facts are a plain step's unless any are given."""
    return NewEvent(
        type=type,
        facts=facts or {"step": str(name), "occurrence": 0, "attempt": 1, "outcome": "success"},
        at=to_text(NOON_US + round(at_s * 1_000_000)),
        actor=actor,
        id=event_id(name),
        payload=payload,
    )


def batch(*names: str | int, stream: str = STREAM, expected: int = ANY, views: tuple[ViewRow, ...] = ()) -> Batch:
    """One append of the events of these names."""
    return [Append(stream, expected, [event(name) for name in names], views)]


def execution_row(key: str, **columns: Any) -> ViewRow:
    """A row of the executions view, of a running execution unless said otherwise."""
    row: dict[str, Any] = {
        "workflow": "checkout",
        "definition": None,
        "kind": "function",
        "status": "running",
        "waiting_for": None,
        "owner": None,
        "started_at": to_text(NOON_US),
        "ended_at": None,
        "wake_us": None,
        "error_type": None,
        "priority": None,
        "labels": None,
    }
    return ViewRow("executions", (key,), row | columns)


def approval_row(execution: str, approval: str, **columns: Any) -> ViewRow:
    """A row of the approvals view, of an open question unless said otherwise."""
    row: dict[str, Any] = {
        "workflow": "checkout",
        "status": "requested",
        "severity": "normal",
        "requested_at": to_text(NOON_US),
        "deadline": None,
        "version": 0,
    }
    return ViewRow("approvals", (execution, approval), row | columns)


def signed(store: EventStore, size: int, key: SigningKey = KEY) -> str:
    """The checkpoint of a store's first `size` events, as a note signed by this key under its own name."""
    return sign(Checkpoint(key.name, size, root_of(e.leaf for e in store.read(limit=size, payloads=False))), key)
