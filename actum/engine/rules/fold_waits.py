"""What the events of timers, questions, signals, races and children make of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import orjson

from actum.engine.rules.calls import Heard
from actum.engine.rules.dues import add_due
from actum.engine.rules.keys import key_of
from actum.engine.rules.spending import USED, count_used, release, reserve
from actum.engine.rules.state import (
    ApprovalState,
    ChildState,
    Event,
    Execution,
    InputState,
    TimerState,
    WaitState,
)
from actum.events import to_us

__all__ = ["WAITS", "give_up_wait", "show_children"]


def _timer_set(state: Execution, event: Event) -> None:
    facts = event.facts
    key = key_of(facts, "timer")
    timer = state.timers[key] = state.waiting[key] = TimerState(key, to_us(facts["due"]))
    add_due(state, "wait", key, timer.due_us)
    state.asked_after = len(state.settled)


def _timer_fired(state: Execution, event: Event) -> None:
    key = key_of(event.facts, "timer")
    timer = state.timers.get(key)
    if timer is None or timer.fired:
        return
    timer.fired = True
    timer.fired_at = event.at
    state.recoveries = 0
    state.waiting.pop(key, None)
    state.settled.append(key)


def _approval_requested(state: Execution, event: Event) -> None:
    key = key_of(event.facts, "approval")
    approval = state.approvals[key] = state.waiting[key] = ApprovalState(key, state.version, event)
    state.decided[key] = approval
    add_due(state, "wait", key, approval.deadline_us)
    state.asked_after = len(state.settled)


def _approval_decided(status: Literal["granted", "rejected", "expired"]) -> Callable[[Execution, Event], None]:
    def handler(state: Execution, event: Event) -> None:
        key = key_of(event.facts, "approval")
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
    key = key_of(event.facts, "input")
    state.inputs[key] = state.waiting[key] = InputState(key, event)
    state.asked_after = len(state.settled)


def _input_received(state: Execution, event: Event) -> None:
    key = key_of(event.facts, "input")
    asked = state.inputs.get(key)
    if asked is None or asked.received_at:  # the first input counts
        return
    asked.received_at = event.at
    asked.payload = event.payload
    state.waiting.pop(key, None)
    state.settled.append(key)


def _approval_withdrawn(state: Execution, event: Event) -> None:
    key = key_of(event.facts, "approval")
    approval = state.approvals.get(key)
    if approval is not None and approval.status == "waiting":
        approval.status = "withdrawn"
        state.decided[key] = approval
        approval.decided_at = event.at
        state.waiting.pop(key, None)


def _signal_awaited(state: Execution, event: Event) -> None:
    key, signal = key_of(event.facts, "signal"), event.facts["signal"]
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


def give_up_wait(state: Execution, wait: WaitState) -> None:
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
            give_up_wait(state, wait)
        else:
            state.waiting.pop(key, None)
    state.asked_after = len(state.settled)


def _patch_marked(state: Execution, event: Event) -> None:
    state.patches.setdefault(event.facts["patch"], event.facts["after"])
    state.asked_after = len(state.settled)


def show_children(state: Execution) -> None:
    """What the row says of children that are open, as the execution itself last saw them."""
    open_ = state.open_children
    state.child_shown = "children" if len(open_) > 1 else next(iter(open_), "")


def _child_started(state: Execution, event: Event) -> None:
    key = key_of(event.facts, "child")
    child = state.children[key] = state.open_children[key] = ChildState(key, event.facts)
    if child.reserved is not None:
        reserve(state, child, child.reserved)
    show_children(state)
    state.asked_after = len(state.settled)


def _child_cancel_requested(state: Execution, event: Event) -> None:
    child = state.children.get(key_of(event.facts, "child"))
    if child is not None:
        child.cancel_requested = True
        state.asked_after = len(state.settled)


def _child_signalled(state: Execution, event: Event) -> None:
    child = state.children.get(key_of(event.facts, "child"))
    if child is not None:
        child.signals.append(event.facts["signal"])
        state.asked_after = len(state.settled)


def _child_ended(state: Execution, event: Event) -> None:
    facts = event.facts
    child = state.open_children.pop(key_of(facts, "child"), None)
    if child is None:
        return
    child.outcome = facts["outcome"]
    child.error = facts.get("error_type", "")
    child.payload = event.payload
    child.ended_at = event.at
    release(state, child)
    if not USED.isdisjoint(facts):
        count_used(state, facts, facts["child"])
    state.recoveries = 0
    state.settled.append(child.key)


WAITS: Final[Mapping[str, Callable[[Execution, Event], None]]] = {
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
    "child.signalled": _child_signalled,
    "child.ended": _child_ended,
}
