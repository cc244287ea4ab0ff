"""Time and people: what is due, and what somebody has answered. Pure."""

from __future__ import annotations

from actum.engine.rules.attempts import start_step
from actum.engine.rules.commands import DecideApproval, GiveInput, SendSignal
from actum.engine.rules.control import cancel_events
from actum.engine.rules.dues import Due, due_by
from actum.engine.rules.keys import about
from actum.engine.rules.state import ApprovalState, Execution
from actum.engine.rules.undoing import start_undo
from actum.errors import ExecutionEnded, NotWaiting
from actum.events import Actor, NewEvent, to_text

__all__ = ["decide_approval", "give_input", "send_signal", "tick"]


def tick(state: Execution, now: int, actor: Actor) -> list[NewEvent]:
    if state.ended or state.paused or state.status == "parked":
        return []
    at = to_text(now)
    if state.deadline_us is not None and state.deadline_us <= now and state.may_time_out:
        return cancel_events(state, at, actor, by="system", cause="deadline")
    return [
        _now_due(state, due, now, at, actor) for due in due_by(state, now) if due.kind == "wait" or not state.held_up
    ]


def _now_due(state: Execution, due: Due, now: int, at: str, actor: Actor) -> NewEvent:
    if due.kind != "wait":
        step = state.steps[due.key]
        if due.kind == "attempt":
            return start_step(step, step.attempt + 1, at, actor)
        return start_undo(step, step.undo_attempt + 1, at, actor)
    open_ = state.waiting[due.key]
    if isinstance(open_, ApprovalState):
        facts = {**about(due.key, "approval"), "waited_us": max(0, now - open_.requested_us)}
        return NewEvent("approval.expired", facts, at, actor)
    return NewEvent("timer.fired", {**about(due.key, "timer"), "late_us": now - due.due_us}, at, actor)


def decide_approval(state: Execution, command: DecideApproval) -> NewEvent:
    approval = state.approvals.get(command.key)
    if approval is None:
        raise NotWaiting(state.id, command.key, "unknown")
    if approval.status != "waiting":
        raise NotWaiting(state.id, command.key, f"already {approval.status}")
    if state.ended:
        raise NotWaiting(state.id, command.key, f"over: the execution has {state.status}")
    if approval.deadline_us is not None and approval.deadline_us <= command.at:
        raise NotWaiting(state.id, command.key, "past its deadline")
    if approval.shown != command.shown:
        raise NotWaiting(state.id, command.key, "about something else than what was shown")
    facts = {
        **about(command.key, "approval"),
        "shown": command.shown,
        "waited_us": max(0, command.at - approval.requested_us),
    }
    type_ = "approval.granted" if command.granted else "approval.rejected"
    return NewEvent(type_, facts, to_text(command.at), Actor("person", command.person), payload=command.comment)


def give_input(state: Execution, command: GiveInput, actor: Actor) -> NewEvent:
    asked = state.inputs.get(command.key)
    if asked is None:
        raise NotWaiting(state.id, command.key, "unknown")
    if asked.received_at:
        raise NotWaiting(state.id, command.key, "already received")
    if state.ended:
        raise NotWaiting(state.id, command.key, f"over: the execution has {state.status}")
    facts = {**about(command.key, "input"), "waited_us": max(0, command.at - asked.requested_us)}
    return NewEvent("input.received", facts, to_text(command.at), actor, payload=command.value)


def send_signal(state: Execution, command: SendSignal, actor: Actor) -> list[NewEvent]:
    if command.signal_id is not None and command.signal_id in state.signal_ids:
        return []
    if state.ended:
        raise ExecutionEnded(state.id, state.status, f"signal {command.name!r} was not sent")
    facts = {"signal": command.name}
    if command.signal_id is not None:
        facts["signal_id"] = command.signal_id
    return [NewEvent("signal.received", facts, to_text(command.at), actor, payload=command.value)]
