"""Executions whose record can no longer be told in full, because payloads were erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actum.errors import PayloadErased, PayloadUnreadable
from actum.events import ERASED, RecordedEvent

__all__ = ["check_not_erased"]

_TOLD_TO_THE_CODE: Final = frozenset(
    {
        *("execution.started", "step.completed", "step.failed", "step.skipped", "step.timed_out"),
        *("approval.granted", "approval.rejected", "signal.received", "child.ended", "input.received"),
    }
)
"""Events whose payloads the workflow's code is told on the way to where it was."""
_ENDS: Final = frozenset({"execution.completed", "execution.failed", "execution.cancelled", "execution.continued"})


def check_not_erased(id_: str, events: Sequence[RecordedEvent]) -> None:
    """Raise `PayloadErased` when going on, or giving the result, needs a payload that was erased.

    Nothing is put in its place: null might be a result too, and the code would take another way than it took. Raises
    `PayloadUnreadable` when it is there and cannot be read here.
    """
    end: RecordedEvent | None = None
    for event in events:
        if event.type in _ENDS:
            end = end or event
        elif event.type == "execution.resumed" and event.facts.get("reopened"):
            end = None
    if end is not None:
        needed = [end] if end.type == "execution.completed" else []
    else:
        needed = [event for event in events if event.type in _TOLD_TO_THE_CODE and event.facts.get("final", True)]
    for event in needed:
        if event.missing is not None:
            if event.missing != ERASED:
                raise PayloadUnreadable(event.position, event.missing)
            raise PayloadErased(id_, event.version, event.type)
