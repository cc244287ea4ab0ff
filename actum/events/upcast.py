"""Which shape of each event type is today's, and how older shapes become it when they are read.

Stored bytes never change. To give an event a new shape: raise its number in `CURRENT`, add an upcaster from the
number before, change the model in the family's file, and add the golden file of the new version.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

from actum.errors import StoreRefused

__all__ = ["CURRENT", "UPCASTERS", "upcast"]

Facts = dict[str, Any]

CURRENT: Final[dict[str, int]] = dict.fromkeys(
    (
        "approval.expired",
        "approval.granted",
        "approval.rejected",
        "approval.requested",
        "approval.withdrawn",
        "breaker.closed",
        "breaker.half_opened",
        "breaker.opened",
        "checkpoint.signed",
        "child.cancel_requested",
        "child.signalled",
        "compensation.completed",
        "compensation.ended",
        "compensation.failed",
        "compensation.requested",
        "compensation.started",
        "execution.cancel_requested",
        "execution.cancelled",
        "execution.claimed",
        "execution.completed",
        "execution.corrected",
        "execution.failed",
        "execution.parked",
        "execution.paused",
        "execution.released",
        "execution.queued",
        "execution.admitted",
        "execution.preempted",
        "execution.resumed",
        "execution.started",
        "code.upgraded",
        "hold.lifted",
        "hold.placed",
        "import.done",
        "input.received",
        "input.requested",
        "intervention.recorded",
        "judgement.recorded",
        "key.rotated",
        "log.rebuilt",
        "log.restored",
        "message.sent",
        "model.called",
        "model.returned",
        "patch.marked",
        "payload.erased",
        "policy.changed",
        "race.decided",
        "replay.diverged",
        "schedule.buffered",
        "schedule.defined",
        "schedule.fired",
        "schedule.made_room",
        "schedule.missed",
        "schedule.paused",
        "schedule.removed",
        "schedule.resumed",
        "segment.archived",
        "segment.dropped",
        "segment.restored",
        "signal.awaited",
        "signal.received",
        "step.in_doubt",
        "step.retry_scheduled",
        "step.skipped",
        "step.started",
        "streams.sealed",
        "subscription.dead_lettered",
        "subscription.resized",
        "timer.fired",
        "timer.set",
        "tool.called",
        "tool.returned",
        "transition.taken",
        "workflow.deprecated",
        "workflow.published",
    ),
    1,
) | {
    "execution.cancel_requested": 2,
    "child.ended": 2,
    "child.started": 2,
    "execution.cancelled": 2,
    "execution.continued": 2,
    "execution.resumed": 2,
    "execution.started": 4,
    "payload.erased": 2,
    "schedule.defined": 2,
    "step.cancelled": 2,
    "step.completed": 2,
    "step.failed": 2,
    "step.scheduled": 3,
    "step.started": 3,
    "step.timed_out": 2,
    "transition.taken": 2,
    "workflow.published": 2,
}


def _as_it_was(facts: Facts) -> Facts:
    """For a shape that has gained what an older event cannot have."""
    return facts


UPCASTERS: dict[tuple[str, int], Callable[[Facts], Facts]] = {
    ("execution.cancel_requested", 1): _as_it_was,  # what has completed was undone
    ("execution.cancelled", 1): _as_it_was,  # with nothing left that could be undone
    ("execution.resumed", 1): _as_it_was,  # after a pause
    ("execution.started", 1): _as_it_was,  # without the data key of whom it is about
    ("transition.taken", 1): _as_it_was,  # of the graph itself, and of none inside it
    ("execution.started", 2): _as_it_was,  # without what it can be found by, its parent, and fewer kinds
    ("payload.erased", 1): _as_it_was,  # counted over the whole log
    ("step.started", 1): _as_it_was,  # no pivot, and undone by itself
    ("child.ended", 1): _as_it_was,  # what was used is counted since
    ("child.started", 1): _as_it_was,  # with nothing kept for it
    ("execution.continued", 1): _as_it_was,
    ("execution.started", 3): _as_it_was,
    ("schedule.defined", 1): _as_it_was,  # policies that have come since are additions
    ("step.cancelled", 1): _as_it_was,
    ("step.completed", 1): _as_it_was,
    ("step.failed", 1): _as_it_was,
    ("step.scheduled", 1): _as_it_was,
    ("step.scheduled", 2): _as_it_was,  # of the priority of its execution
    ("step.started", 2): _as_it_was,
    ("step.timed_out", 1): _as_it_was,
    ("workflow.published", 1): _as_it_was,  # kinds that have come since are additions
}
"""(type, schema) → the facts one schema later. Applied again until the facts are in today's shape."""


def upcast(type_: str, schema: int, facts: Facts) -> Facts:
    """Today's facts for facts written under an older schema; the argument is left as it is.

    An upcaster gets a copy of its own, all the way down, and may change it. Raises `StoreRefused` for a type or
    schema that only a newer program knows.
    """
    today = CURRENT.get(type_)
    if today is None:
        raise StoreRefused(type_, "this program does not know this event type; upgrade actum to read it")
    if not isinstance(schema, int) or schema < 1:
        raise StoreRefused(type_, f"schema {schema!r} is none that was ever written; run `actum verify`")
    if schema > today:
        raise StoreRefused(
            type_, f"schema {schema} of this event is newer than this program reads ({today}); upgrade actum to read it"
        )
    if schema < today:
        facts = deepcopy(facts)
    for number in range(schema, today):
        facts = UPCASTERS[type_, number](facts)
    return facts
