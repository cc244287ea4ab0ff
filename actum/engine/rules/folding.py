"""The fold: what each event makes of the state of its execution. It needs none of the user's code and never refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Final, Literal

import orjson

from actum.engine.rules.calls import Heard
from actum.engine.rules.dues import add_due
from actum.engine.rules.state import (
    ApprovalState,
    ChildState,
    Event,
    Execution,
    InputState,
    Rollback,
    Status,
    StepState,
    TimerState,
    WaitState,
    is_recovery,
)
from actum.events import RecordedEvent, to_us

__all__ = ["evolve", "fold"]


def fold(id_: str, events: list[RecordedEvent]) -> Execution:
    """The state after these events, which are a stream from its beginning."""
    return reduce(evolve, events, Execution(id_))


def evolve(state: Execution, event: Event) -> Execution:
    """The state one event later. What is recorded has happened: nothing is refused, unknown things change nothing."""
    handler = _HANDLERS.get(event.type)
    if handler is not None:
        handler(state, event)
        if state.child_shown and event.type != "child.ended":
            _show_children(state)
    state.version += 1
    return state


def _key(facts: dict[str, Any], name: str) -> str:
    scope = facts.get("scope")
    return f"{scope}/{facts[name]}#{facts['occurrence']}" if scope else f"{facts[name]}#{facts['occurrence']}"


def _begin_work(state: Execution, at: str) -> None:
    if state.busy == 0:
        state.busy_since_us = to_us(at)
    state.busy += 1


def _end_work(state: Execution, at: str) -> None:
    if state.busy > 0:
        state.busy -= 1
        if state.busy == 0:
            state.active_us += max(0, to_us(at) - state.busy_since_us)


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
    if event.actor.kind == "worker":
        state.owner = event.actor.ref


def _upgraded(state: Execution, event: Event) -> None:
    state.definition = event.facts["after"]


def _claimed(state: Execution, event: Event) -> None:
    if state.status == "parked":  # a person looked and said: go on
        state.recoveries = 0
        _go_on(state)
    elif is_recovery(state):
        state.recoveries += 1
    state.owner = event.facts["worker"]
    state.busy = 0  # whatever ran, ran in a process that is gone


def _go_on(state: Execution) -> None:
    state.status = "compensating" if state.compensating else "running"


def _paused(state: Execution, event: Event) -> None:
    if not state.ended:
        state.paused = True
        state.status = "paused"


def _resumed(state: Execution, event: Event) -> None:
    facts = event.facts
    if state.status == "failed" and facts.get("reopened"):
        _reopen(state)
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


def _reopen(state: Execution) -> None:
    """Take the end back: whatever waited then, waits again."""
    state.status = "running"
    state.ended_at = None
    state.end_payload = None
    state.error_type = None
    state.active = {key: step for key, step in state.steps.items() if step.status in ("started", "retry", "in_doubt")}
    for step in state.active.values():
        if step.status == "retry":
            _wait_for_attempt(state, step, step.not_before_us)
    state.waiting = {
        **{key: question for key, question in state.approvals.items() if question.status == "waiting"},
        **{key: timer for key, timer in state.timers.items() if not timer.fired},
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
        _wait_for_attempt(state, step, 0)
    for place, key in enumerate(state.settled):
        step = state.steps.get(key)
        if step is not None and step.compensation is not None and step.status == "completed":
            step.settled_at = place


def _wait_for_attempt(state: Execution, step: StepState, not_before_us: int) -> None:
    step.status = "retry"
    step.not_before_us = not_before_us
    state.retrying[step.key] = step
    add_due(state, "attempt", step.key, not_before_us)


def _parked(state: Execution, event: Event) -> None:
    if not state.ended:
        state.status = "parked"
        state.parked = event.facts.get("reason", "")
        state.parked_step = event.facts.get("step", "")


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
            _give_up_wait(state, open_)
    state.waiting = {key: open_ for key, open_ in state.waiting.items() if isinstance(open_, ApprovalState)}
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


def _step_started(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
        state.asked_after = len(state.settled)
    elif state.retrying:
        state.retrying.pop(key, None)
    step.attempt = facts.get("attempt", 1)
    step.status = "started"
    state.active[key] = step
    _begin_work(state, event.at)


def _step_completed(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps.get(key)
    if step is None:  # imported: an end without a recorded start
        step = state.steps[key] = StepState(key, facts)
    else:
        _end_work(state, event.at)
    state.recoveries = 0
    step.status = "completed"
    step.ended_at = event.at
    step.payload = event.payload
    _settle_step(state, key)
    if step.compensation is not None:
        step.settled_at = len(state.settled) - 1
        state.undo_stack.append(key)
    elif step.pivot:
        state.undo_stack = [other for other in state.undo_stack if other in state.undoing]


def _step_failed(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
    else:
        _end_work(state, event.at)
    state.recoveries = 0
    step.failures += 1
    if facts.get("final"):
        step.status = "failed"
        step.ended_at = event.at
        step.error = facts.get("error_type", "TimeoutError")
        step.payload = event.payload
        _settle_step(state, key)
    else:
        _wait_for_attempt(state, step, step.not_before_us)


def _retry_scheduled(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.active.get(_key(facts, "step"))
    if step is not None:
        _wait_for_attempt(state, step, to_us(facts["not_before"]))


def _in_doubt(state: Execution, event: Event) -> None:
    step = state.active.get(_key(event.facts, "step"))
    if step is not None:
        step.status = "in_doubt"
        state.retrying.pop(step.key, None)


def _skipped(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps.get(key)
    if step is None or facts.get("reason") != "person":
        step = state.steps[key] = StepState(key, facts)
        step.status = "skipped"
        return
    if key in state.settled:  # not while it has to be answered: an answer counts once
        return
    step.status = "skipped"
    step.ended_at = event.at
    step.payload = event.payload
    _settle_step(state, key)


def _settle_step(state: Execution, key: str) -> None:
    state.active.pop(key, None)
    if state.retrying:
        state.retrying.pop(key, None)
    state.settled.append(key)


def _step_cancelled(state: Execution, event: Event) -> None:
    step = state.active.pop(_key(event.facts, "step"), None)
    if step is not None:
        if step.status == "started":
            _end_work(state, event.at)
        state.retrying.pop(step.key, None)
        step.status = "cancelled"
        step.ended_at = event.at


def _transition_taken(state: Execution, event: Event) -> None:
    facts = event.facts
    scope = facts.get("scope")
    source = f"{scope}/{facts['source']}" if scope else facts["source"]
    state.taken.add((source, facts["source_occurrence"], facts["target"]))


def _compensation_requested(state: Execution, event: Event) -> None:
    facts = event.facts
    if "compensation" not in facts:
        return
    key, since = _key(facts, "compensation"), facts.get("since", 0)
    targets = [other for other in state.undo_stack if state.steps[other].settled_at >= since]
    state.rollbacks[key] = Rollback(key, targets)
    state.rolling.append(key)
    state.asked_after = len(state.settled)


def _compensation_ended(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "compensation") if "compensation" in facts else ""
    if key not in state.rolling:
        return
    state.rolling.remove(key)
    state.rollbacks[key].uncompensated = facts.get("uncompensated", [])
    state.settled.append(key)


def _compensation_started(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.steps.get(_key(facts, "step"))
    if step is None or state.ended:
        return
    step.undo = "started"
    step.undo_attempt = facts.get("attempt", 1)
    if not state.compensating and not state.rolling:  # steps that waited for another attempt are given up
        state.active = {key: other for key, other in state.active.items() if other.status != "retry"}
        state.retrying.clear()
        state.compensating = True
        state.status = "compensating"
    if step.key not in state.undoing:
        state.undoing.append(step.key)
    _begin_work(state, event.at)


def _compensation_completed(state: Execution, event: Event) -> None:
    step = state.steps.get(_key(event.facts, "step"))
    if step is None:
        return
    if step.undo == "started":
        _end_work(state, event.at)
    state.recoveries = 0
    step.undo = "completed"
    _forget_undo(state, step)


def _compensation_failed(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.steps.get(_key(facts, "step"))
    if step is None:
        return
    if step.undo == "started":
        _end_work(state, event.at)
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


def _timer_set(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "timer")
    timer = state.timers[key] = state.waiting[key] = TimerState(key, to_us(facts["due"]))
    add_due(state, "wait", key, timer.due_us)
    state.asked_after = len(state.settled)


def _timer_fired(state: Execution, event: Event) -> None:
    key = _key(event.facts, "timer")
    timer = state.timers.get(key)
    if timer is None or timer.fired:
        return
    timer.fired = True
    timer.fired_at = event.at
    state.recoveries = 0
    state.waiting.pop(key, None)
    state.settled.append(key)


def _approval_requested(state: Execution, event: Event) -> None:
    key = _key(event.facts, "approval")
    approval = state.approvals[key] = state.waiting[key] = ApprovalState(key, state.version, event)
    state.decided[key] = approval
    add_due(state, "wait", key, approval.deadline_us)
    state.asked_after = len(state.settled)


def _approval_decided(status: Literal["granted", "rejected", "expired"]) -> Callable[[Execution, Event], None]:
    def handler(state: Execution, event: Event) -> None:
        key = _key(event.facts, "approval")
        approval = state.approvals.get(key)
        if approval is None or approval.status != "waiting":  # the first decision counts
            return
        approval.status = status
        state.decided[key] = approval
        state.recoveries = 0
        approval.decided_at = event.at
        approval.by = "the deadline" if status == "expired" else event.actor.ref
        said = None if event.payload is None else orjson.loads(event.payload)
        if isinstance(said, dict):
            approval.comment = said.get("comment") or ""
        state.waiting.pop(key, None)
        state.settled.append(key)

    return handler


def _input_requested(state: Execution, event: Event) -> None:
    key = _key(event.facts, "input")
    state.inputs[key] = state.waiting[key] = InputState(key, event)
    state.asked_after = len(state.settled)


def _input_received(state: Execution, event: Event) -> None:
    key = _key(event.facts, "input")
    asked = state.inputs.get(key)
    if asked is None or asked.received_at:  # the first input counts
        return
    asked.received_at = event.at
    asked.payload = event.payload
    state.waiting.pop(key, None)
    state.settled.append(key)


def _approval_withdrawn(state: Execution, event: Event) -> None:
    key = _key(event.facts, "approval")
    approval = state.approvals.get(key)
    if approval is not None and approval.status == "waiting":
        approval.status = "withdrawn"
        state.decided[key] = approval
        approval.decided_at = event.at
        state.waiting.pop(key, None)


def _signal_awaited(state: Execution, event: Event) -> None:
    key, signal = _key(event.facts, "signal"), event.facts["signal"]
    wait = state.awaited[key] = WaitState(key, signal)
    waits = state.waits.setdefault(signal, [])
    waits.append(key)
    if len(waits) > len(state.signals.get(signal, ())):
        state.waiting[key] = wait
    state.asked_after = len(state.settled)


def _signal_received(state: Execution, event: Event) -> None:
    signal = event.facts["signal"]
    key = f"!{state.version}"
    said = None if event.payload is None else orjson.loads(event.payload)
    state.heard[key] = Heard("signal", signal, said.get("value") if isinstance(said, dict) else None, to_us(event.at))
    state.settled.append(key)
    if "signal_id" in event.facts:
        state.signal_ids.add(event.facts["signal_id"])
    came = state.signals.setdefault(signal, [])
    came.append(key)
    waits = state.waits.get(signal, ())
    if len(came) <= len(waits):
        state.waiting.pop(waits[len(came) - 1], None)


def _give_up_wait(state: Execution, wait: WaitState) -> None:
    """The first signal goes to the first wait that was not given up: behind this one, all move up by one."""
    waits, came = state.waits[wait.signal], len(state.signals.get(wait.signal, ()))
    if wait.key not in waits:
        return
    if waits.index(wait.key) < came < len(waits):
        state.waiting.pop(waits[came], None)
    waits.remove(wait.key)
    state.waiting.pop(wait.key, None)


def _race_decided(state: Execution, event: Event) -> None:
    facts = event.facts
    scope, name = facts.get("scope"), f"{facts['race']}##{facts['occurrence']}"
    state.races[f"{scope}/{name}" if scope else name] = facts["winner"]
    for key in facts.get("losers", ()):
        wait = state.awaited.get(key)
        if wait is not None:
            _give_up_wait(state, wait)
        else:
            state.waiting.pop(key, None)
    state.asked_after = len(state.settled)


def _patch_marked(state: Execution, event: Event) -> None:
    state.patches.setdefault(event.facts["patch"], event.facts["after"])
    state.asked_after = len(state.settled)


def _show_children(state: Execution) -> None:
    open_ = state.open_children
    state.child_shown = "children" if len(open_) > 1 else next(iter(open_), "")


def _child_started(state: Execution, event: Event) -> None:
    key = _key(event.facts, "child")
    state.children[key] = state.open_children[key] = ChildState(key, event.facts)
    _show_children(state)
    state.asked_after = len(state.settled)


def _child_cancel_requested(state: Execution, event: Event) -> None:
    child = state.children.get(_key(event.facts, "child"))
    if child is not None:
        child.cancel_requested = True


def _child_ended(state: Execution, event: Event) -> None:
    facts = event.facts
    child = state.open_children.pop(_key(facts, "child"), None)
    if child is None:
        return
    child.outcome = facts["outcome"]
    child.error = facts.get("error_type", "")
    child.payload = event.payload
    child.ended_at = event.at
    state.settled.append(child.key)


_HANDLERS: Final[dict[str, Callable[[Execution, Event], None]]] = {
    "execution.started": _started,
    "execution.claimed": _claimed,
    "code.upgraded": _upgraded,
    "execution.paused": _paused,
    "execution.resumed": _resumed,
    "execution.parked": _parked,
    "execution.cancel_requested": _cancel_requested,
    "execution.completed": _ended("completed"),
    "execution.failed": _ended("failed"),
    "execution.cancelled": _ended("cancelled"),
    "execution.continued": _continued,
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
    "timer.set": _timer_set,
    "timer.fired": _timer_fired,
    "input.requested": _input_requested,
    "input.received": _input_received,
    "approval.requested": _approval_requested,
    "approval.granted": _approval_decided("granted"),
    "approval.rejected": _approval_decided("rejected"),
    "approval.expired": _approval_decided("expired"),
    "approval.withdrawn": _approval_withdrawn,
    "signal.awaited": _signal_awaited,
    "signal.received": _signal_received,
    "race.decided": _race_decided,
    "patch.marked": _patch_marked,
    "child.started": _child_started,
    "child.cancel_requested": _child_cancel_requested,
    "child.ended": _child_ended,
}
