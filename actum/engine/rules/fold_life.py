"""What the events of an execution as a whole make of its state: begun, taken over, paused, ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from actum.engine.rules.calls import Heard
from actum.engine.rules.dues import add_due, wait_for_attempt
from actum.engine.rules.fold_waits import give_up_wait
from actum.engine.rules.spending import USED, count_used
from actum.engine.rules.state import (
    ApprovalState,
    Event,
    Execution,
    HoldState,
    Status,
    WaitState,
    is_recovery,
)
from actum.events import to_us

__all__ = ["LIFE"]


def _started(state: Execution, event: Event) -> None:
    facts = event.facts
    state.workflow = facts["workflow"]
    state.kind = facts["kind"]
    state.definition = facts.get("definition")
    state.started_at = event.at
    state.input = event.payload
    state.key = facts.get("key")
    if "deadline" in facts:
        state.deadline_us = to_us(facts["deadline"])
    state.priority = facts.get("priority", 0)
    if "tags" in facts:
        state.tags = facts["tags"]
    if "attributes" in facts:
        state.attributes = facts["attributes"]
    state.parent = facts.get("parent")
    state.parent_key = facts.get("parent_key")
    state.previous = facts.get("previous")
    state.first = facts.get("first")
    state.first_at = facts.get("first_at")
    if not USED.isdisjoint(facts):
        count_used(state, facts, facts["previous"])
    if event.actor.kind == "worker":
        state.owner = event.actor.ref


def _upgraded(state: Execution, event: Event) -> None:
    state.definition = event.facts["after"]


def _queued(state: Execution, event: Event) -> None:
    if not state.ended:
        hold = state.hold = HoldState(event.facts, to_us(event.at))
        state.waiting[hold.key] = hold


def _admitted(state: Execution, event: Event) -> None:
    if state.hold is not None and not state.ended:
        state.hold.held = state.hold.before = True
        state.waiting.pop(state.hold.key, None)


def _preempted(state: Execution, event: Event) -> None:
    _wait_for_hold(state, event)


def _wait_for_hold(state: Execution, event: Event) -> None:
    """It has not got, or no longer, what it holds throughout: who holds something must be there, and go on."""
    hold = state.hold
    if hold is None or state.ended:
        return
    if hold.held:
        hold.held = False
        hold.since_us = to_us(event.at)
    state.waiting[hold.key] = hold


def _claimed(state: Execution, event: Event) -> None:
    if state.status == "parked":  # a person looked and said: go on
        state.recoveries = 0
        _go_on(state)
    elif is_recovery(state):
        state.recoveries += 1
    state.owner = event.facts["worker"]
    state.busy = 0  # whatever ran, ran in a process that is gone
    if state.hold is not None:
        _wait_for_hold(state, event)


def _released(state: Execution, event: Event) -> None:
    """Whoever takes it over now does not do so after a death."""
    if not state.ended:
        state.owner = ""


def _go_on(state: Execution) -> None:
    state.status = "compensating" if state.compensating else "running"


def _paused(state: Execution, event: Event) -> None:
    if not state.ended:
        state.paused = True
        state.status = "paused"
        _wait_for_hold(state, event)


def _resumed(state: Execution, event: Event) -> None:
    facts = event.facts
    if state.status == "failed" and facts.get("reopened"):
        _reopen(state)
        _wait_for_hold(state, event)
    if state.ended:
        return
    if state.status == "parked" or facts.get("reopened"):
        state.owner = ""  # whoever ran it has let go of it
    if state.status in ("paused", "parked"):
        _go_on(state)
    state.paused = False
    again = facts.get("steps")
    if again:
        _try_again(state, again)


_OPEN: Final = ("scheduled", "started", "retry", "in_doubt")


def _reopen(state: Execution) -> None:
    """Take the end back: whatever waited then, waits again."""
    state.status = "running"
    state.ended_at = None
    state.end_payload = None
    state.error_type = None
    state.active = {key: step for key, step in state.steps.items() if step.status in _OPEN}
    for step in state.active.values():
        if step.status == "retry":
            wait_for_attempt(state, step, step.not_before_us)
    state.waiting = {
        **{key: question for key, question in state.approvals.items() if question.status == "waiting"},
        **{key: timer for key, timer in state.timers.items() if not timer.fired},
        **{key: step for key, step in state.active.items() if step.status == "scheduled"},
    }
    for key, open_ in state.waiting.items():
        add_due(state, "wait", key, open_.due_us)
        if isinstance(open_, ApprovalState):
            state.decided[key] = open_


def _try_again(state: Execution, keys: list[str]) -> None:
    """These steps have another attempt before them, as if they had never failed."""
    for key in keys:
        step = state.steps.get(key)
        if step is None:
            continue
        if step.status not in ("failed", "in_doubt"):
            continue
        if step.status == "failed":
            state.settled.remove(key)
        step.failures = 0
        step.payload = None
        state.active[key] = step
        wait_for_attempt(state, step, 0)
    for place, key in enumerate(state.settled):
        step = state.steps.get(key)
        if step is not None and step.compensation is not None and step.status == "completed":
            step.settled_at = place


def _parked(state: Execution, event: Event) -> None:
    if not state.ended:
        state.status = "parked"
        state.parked = event.facts.get("reason", "")
        state.parked_step = event.facts.get("step", "")
        _wait_for_hold(state, event)


def _cancel_requested(state: Execution, event: Event) -> None:
    if state.ended or state.cancel_requested:  # the first request counts
        return
    facts = event.facts
    state.cancel_requested = True
    state.cancel_by = facts.get("by", "user")
    state.cancel_compensate = facts.get("compensate", True)
    state.cancel_cause = facts.get("cause")
    key = f"!{state.version}"
    state.heard[key] = Heard("cancel", state.cancel_by, None, to_us(event.at))
    state.settled.append(key)
    for step in state.active.values():
        step.cancelling = True
    for open_ in list(state.waiting.values()):
        if isinstance(open_, WaitState):  # so that a later wait for this signal is not behind it
            give_up_wait(state, open_)
    state.waiting = {
        key: open_ for key, open_ in state.waiting.items() if isinstance(open_, (ApprovalState, HoldState))
    }
    if state.status in ("paused", "parked"):
        _go_on(state)
    state.paused = False


def _ended(status: Status) -> Callable[[Execution, Event], None]:
    def handler(state: Execution, event: Event) -> None:
        if state.ended:  # the first end counts
            return
        if state.first_end is None:
            state.first_end = (state.version, event.facts.get("outcome", status))
        state.status = status
        state.ended_at = event.at
        state.end_payload = event.payload
        state.error_type = event.facts.get("error_type")
        state.decided.update({key: open_ for key, open_ in state.waiting.items() if isinstance(open_, ApprovalState)})
        state.waiting.clear()
        state.active.clear()
        state.retrying.clear()
        state.rolling.clear()

    return handler


def _continued(state: Execution, event: Event) -> None:
    if not state.ended:
        state.next = event.facts["next"]
        _ended("continued")(state, event)


LIFE: Final[Mapping[str, Callable[[Execution, Event], None]]] = {
    "execution.started": _started,
    "execution.claimed": _claimed,
    "execution.released": _released,
    "execution.queued": _queued,
    "execution.admitted": _admitted,
    "execution.preempted": _preempted,
    "code.upgraded": _upgraded,
    "execution.paused": _paused,
    "execution.resumed": _resumed,
    "execution.parked": _parked,
    "execution.cancel_requested": _cancel_requested,
    "execution.completed": _ended("completed"),
    "execution.failed": _ended("failed"),
    "execution.cancelled": _ended("cancelled"),
    "execution.continued": _continued,
}
