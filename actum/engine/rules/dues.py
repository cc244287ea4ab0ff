"""What of an execution is due when: kept by the fold, so that nobody has to look through all that is open. Pure."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from actum.engine.rules.parts import StepState
    from actum.engine.rules.state import Execution

__all__ = ["Due", "add_due", "due_by", "next_due", "wait_for_attempt"]


class Due(NamedTuple):
    """The time at which a wait is over, an attempt begins again, or a compensation does.

    It holds as long as the state says the same of `key`; what no longer holds is left to lie until it comes up.
    """

    due_us: int
    number: int
    kind: Literal["wait", "attempt", "undo"]
    key: str


def add_due(state: Execution, kind: Literal["wait", "attempt", "undo"], key: str, due_us: int | None) -> None:
    """From now on this is due at that time, and no other; None: not by itself."""
    if due_us is not None:
        state.due_count += 1
        heappush(state.dues, Due(due_us, state.due_count, kind, key))


def wait_for_attempt(state: Execution, step: StepState, not_before_us: int) -> None:
    """The step has another attempt before it, from then on."""
    step.status = "retry"
    step.not_before_us = not_before_us
    state.retrying[step.key] = step
    add_due(state, "attempt", step.key, not_before_us)


def next_due(state: Execution) -> int | None:
    """When the first of all is due, in microseconds since the epoch; while the execution is held up, of all waits."""
    dues = state.dues
    if state.held_up:
        return min((due.due_us for due in dues if due.kind == "wait" and _holds(state, due)), default=None)
    while dues and not _holds(state, dues[0]):
        heappop(dues)
    return dues[0].due_us if dues else None


def due_by(state: Execution, now_us: int) -> list[Due]:
    """All that is due, what has been due longest first; as much work as there is to do, however much is open."""
    dues, found, places = state.dues, {}, [0]
    while places:
        place = places.pop()
        if place < len(dues) and dues[place].due_us <= now_us:  # below it in the heap nothing is earlier
            due = dues[place]
            if _holds(state, due):
                found[due.kind, due.key] = due
            places += (2 * place + 1, 2 * place + 2)
    return sorted(found.values())


def _holds(state: Execution, due: Due) -> bool:
    if due.kind == "wait":
        open_ = state.waiting.get(due.key)
        return open_ is not None and open_.due_us == due.due_us
    if due.kind == "attempt":
        step = state.retrying.get(due.key)
        return step is not None and step.not_before_us == due.due_us
    step = state.steps[due.key]
    return step.undo == "retry" and step.undo_not_before_us == due.due_us
