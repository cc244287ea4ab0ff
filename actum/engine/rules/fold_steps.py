"""What the events of steps, of transitions between them and of their compensations make of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from actum.engine.resources.needs import Needs
from actum.engine.rules.busy import begin_work, end_work
from actum.engine.rules.dues import add_due, wait_for_attempt
from actum.engine.rules.keys import key_of
from actum.engine.rules.spending import count_used, release, reserve
from actum.engine.rules.state import (
    Event,
    Execution,
    Rollback,
    StepState,
)
from actum.events import to_us

__all__ = ["STEPS"]


def _step_started(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
        state.asked_after = len(state.settled)
        if "reserved" in facts:
            reserve(state, step, facts["reserved"])
    if state.retrying:
        state.retrying.pop(key, None)
    if step.status == "scheduled":
        state.waiting.pop(key, None)
    step.attempt = facts.get("attempt", 1)
    step.status = "started"
    state.active[key] = step
    begin_work(state, event.at)


def _step_scheduled(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
        state.asked_after = len(state.settled)
        if "reserved" in facts:
            reserve(state, step, facts["reserved"])
    step.needs = Needs(
        facts.get("needs", {}),
        facts.get("breaker", ""),
        tuple(facts.get("limits", ())),
        priority=facts.get("priority"),
    )
    step.status = "scheduled"
    step.scheduled_us = to_us(event.at)
    state.retrying.pop(key, None)
    state.active[key] = state.waiting[key] = step


def _step_completed(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "step")
    step = state.steps.get(key)
    if step is None:  # imported: an end without a recorded start
        step = state.steps[key] = StepState(key, facts)
    else:
        end_work(state, event.at)
    state.recoveries = 0
    step.status = "completed"
    step.ended_us = to_us(event.at)
    step.payload = event.payload
    _settle(state, key)
    if "used" in facts or step.reserved is not None:
        _spent(state, step, facts, final=True)
    if step.compensation is not None:
        step.settled_at = len(state.settled) - 1
        state.undo_stack.append(key)
    elif step.pivot:
        state.undo_stack = [other for other in state.undo_stack if other in state.undoing]


def _step_failed(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
    else:
        end_work(state, event.at)
    state.recoveries = 0
    step.failures += 1
    if "used" in facts or step.reserved is not None:
        _spent(state, step, facts, final=facts.get("final", False))
    if facts.get("final"):
        step.status = "failed"
        step.ended_us = to_us(event.at)
        step.error = facts.get("error_type", "TimeoutError")
        step.payload = event.payload
        _settle(state, key)
    else:
        wait_for_attempt(state, step, step.not_before_us)


def _spent(state: Execution, step: StepState, facts: dict[str, Any], *, final: bool) -> None:
    if final:
        release(state, step)
    if "used" in facts:
        count_used(state, facts, step.step, step=True)


def _retry_scheduled(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.active.get(key_of(facts, "step"))
    if step is not None:
        wait_for_attempt(state, step, to_us(facts["not_before"]))


def _in_doubt(state: Execution, event: Event) -> None:
    step = state.active.get(key_of(event.facts, "step"))
    if step is not None:
        step.status = "in_doubt"
        step.again = event.facts.get("action") == "retry"
        state.retrying.pop(step.key, None)


def _skipped(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "step")
    step = state.steps.get(key)
    if step is None or facts.get("reason") != "person":
        step = state.steps[key] = StepState(key, facts)
        step.status = "skipped"
        return
    if key in state.settled:  # not while it has to be answered: an answer counts once
        return
    step.status = "skipped"
    step.ended_us = to_us(event.at)
    step.payload = event.payload
    _settle(state, key)


def _settle(state: Execution, key: str) -> None:
    state.active.pop(key, None)
    if state.retrying:
        state.retrying.pop(key, None)
    state.waiting.pop(key, None)
    state.settled.append(key)


def _step_cancelled(state: Execution, event: Event) -> None:
    step = state.active.pop(key_of(event.facts, "step"), None)
    if step is not None:
        state.waiting.pop(step.key, None)
        if step.status == "started":
            end_work(state, event.at)
        state.retrying.pop(step.key, None)
        step.status = "cancelled"
        step.ended_us = to_us(event.at)
        if "used" in event.facts or step.reserved is not None:
            _spent(state, step, event.facts, final=True)


def _transition_taken(state: Execution, event: Event) -> None:
    facts = event.facts
    scope = facts.get("scope")
    source = f"{scope}/{facts['source']}" if scope else facts["source"]
    state.taken.add((source, facts["source_occurrence"], facts["target"]))


def _compensation_requested(state: Execution, event: Event) -> None:
    facts = event.facts
    if "compensation" not in facts:
        return
    key, since = key_of(facts, "compensation"), facts.get("since", 0)
    targets = [other for other in state.undo_stack if state.steps[other].settled_at >= since]
    state.rollbacks[key] = Rollback(key, targets)
    state.rolling.append(key)
    state.asked_after = len(state.settled)


def _compensation_ended(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "compensation") if "compensation" in facts else ""
    if key not in state.rolling:
        return
    state.rolling.remove(key)
    state.rollbacks[key].uncompensated = facts.get("uncompensated", [])
    state.settled.append(key)


def _compensation_started(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.steps.get(key_of(facts, "step"))
    if step is None or state.ended:
        return
    step.undo = "started"
    step.undo_attempt = facts.get("attempt", 1)
    if not state.compensating and not state.rolling:  # steps that waited for another attempt are given up
        for other in list(state.active.values()):
            if other.status in ("retry", "scheduled"):
                del state.active[other.key]
                state.waiting.pop(other.key, None)
        state.retrying.clear()
        state.compensating = True
        state.status = "compensating"
    if step.key not in state.undoing:
        state.undoing.append(step.key)
    begin_work(state, event.at)


def _compensation_completed(state: Execution, event: Event) -> None:
    step = state.steps.get(key_of(event.facts, "step"))
    if step is None:
        return
    if step.undo == "started":
        end_work(state, event.at)
    state.recoveries = 0
    step.undo = "completed"
    _forget_undo(state, step)


def _compensation_failed(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.steps.get(key_of(facts, "step"))
    if step is None:
        return
    if step.undo == "started":
        end_work(state, event.at)
    state.recoveries = 0
    step.undo_failures += 1
    if facts.get("final") or "not_before" not in facts:
        step.undo = "failed"
        state.uncompensated.append(step.key)
        _forget_undo(state, step)
    else:
        step.undo = "retry"
        step.undo_not_before_us = to_us(facts["not_before"])
        add_due(state, "undo", step.key, step.undo_not_before_us)


def _forget_undo(state: Execution, step: StepState) -> None:
    if step.key in state.undoing:
        state.undoing.remove(step.key)
    if state.undo_stack and state.undo_stack[-1] == step.key:  # they are undone from the end
        state.undo_stack.pop()
    elif step.key in state.undo_stack:
        state.undo_stack.remove(step.key)


STEPS: Final[Mapping[str, Callable[[Execution, Event], None]]] = {
    "step.scheduled": _step_scheduled,
    "step.started": _step_started,
    "step.completed": _step_completed,
    "step.failed": _step_failed,
    "step.timed_out": _step_failed,
    "step.retry_scheduled": _retry_scheduled,
    "step.in_doubt": _in_doubt,
    "step.skipped": _skipped,
    "step.cancelled": _step_cancelled,
    "transition.taken": _transition_taken,
    "compensation.requested": _compensation_requested,
    "compensation.ended": _compensation_ended,
    "compensation.started": _compensation_started,
    "compensation.completed": _compensation_completed,
    "compensation.failed": _compensation_failed,
}
