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
        "checkpoint.signed",
        "compensation.completed",
        "compensation.failed",
        "compensation.started",
        "execution.cancel_requested",
        "execution.cancelled",
        "execution.claimed",
        "execution.completed",
        "execution.corrected",
        "execution.failed",
        "execution.parked",
        "execution.paused",
        "execution.resumed",
        "execution.started",
        "code.upgraded",
        "hold.lifted",
        "hold.placed",
        "import.done",
        "intervention.recorded",
        "judgement.recorded",
        "key.rotated",
        "log.rebuilt",
        "log.restored",
        "message.sent",
        "model.called",
        "model.returned",
        "payload.erased",
        "policy.changed",
        "replay.diverged",
        "segment.archived",
        "segment.dropped",
        "segment.restored",
        "step.completed",
        "step.failed",
        "step.in_doubt",
        "step.retry_scheduled",
        "step.skipped",
        "step.started",
        "step.timed_out",
        "streams.sealed",
        "subscription.dead_lettered",
        "subscription.resized",
        "timer.fired",
        "timer.set",
        "tool.called",
        "tool.returned",
        "transition.taken",
        "workflow.published",
    ),
    1,
) | {"execution.started": 2, "payload.erased": 2}


def _as_it_was(facts: Facts) -> Facts:
    """For a shape that has gained what an older event cannot have."""
    return facts


UPCASTERS: dict[tuple[str, int], Callable[[Facts], Facts]] = {
    ("execution.started", 1): _as_it_was,  # without the data key of whom it is about
    ("payload.erased", 1): _as_it_was,  # counted over the whole log
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
