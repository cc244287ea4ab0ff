"""What an execution holds throughout: asked for before its first step, given back between two steps. Pure.

While it waits for it, nothing of it begins: no step, no other attempt, no compensation. Answers from outside and times
are recorded all the same, and it may end when nothing is to be undone for that.
"""

from __future__ import annotations

from typing import Any

from actum.engine.rules.attempts import start_step
from actum.engine.rules.calls import Failure
from actum.engine.rules.commands import Admit, Preempt, Queue, RefuseHold
from actum.engine.rules.state import Execution
from actum.engine.rules.undoing import start_undo
from actum.engine.rules.wishes import end_badly
from actum.events import Actor, NewEvent, to_text, to_us

__all__ = ["admit", "at_border", "preempt", "queue", "refuse_hold"]


def _rests(state: Execution) -> bool:
    return state.ended or state.paused or state.status == "parked"


def queue(state: Execution, command: Queue, actor: Actor) -> list[NewEvent]:
    if state.hold is not None or state.steps or not state.version or _rests(state):
        return []  # what has begun without it goes on without it
    facts: dict[str, Any] = {"needs": dict(command.hold.needs.units), "preemptible": command.hold.preemptible}
    events = [NewEvent("execution.queued", facts, to_text(command.at), actor)]
    if command.hold.needs.refused:
        why = f"the execution can never begin: {command.hold.needs.refused}"
        events += _refused(state, Failure("NeverGranted", why), command.at, actor)
    return events


def admit(state: Execution, command: Admit, actor: Actor) -> list[NewEvent]:
    """It goes on: with what it was about to run again, and to undo again, when it was taken over."""
    hold = state.hold
    if hold is None or hold.held or _rests(state):
        return []
    at = to_text(command.at)
    events = [NewEvent("execution.admitted", {"waited_us": max(0, command.at - hold.since_us)}, at, actor)]
    for step in state.active.values():
        if step.status == "in_doubt" and step.again:
            events.append(start_step(step, step.attempt + 1, at, actor))
    if state.busy == 0:  # else it was paused, and has gone on before they ended
        for key in state.undoing:
            undone = state.steps[key]
            if undone.undo == "started":
                events.append(start_undo(undone, undone.undo_attempt + 1, at, actor))
    return events


def refuse_hold(state: Execution, command: RefuseHold, actor: Actor) -> list[NewEvent]:
    if state.hold is None or state.hold.before or _rests(state):
        return []
    return _refused(state, command.failure, command.at, actor)


def _refused(state: Execution, why: Failure, now: int, actor: Actor) -> list[NewEvent]:
    took = {"duration_us": max(0, now - to_us(state.first_at or state.started_at)), "active_us": state.active_us}
    return end_badly(state, why, [], took, to_text(now), actor)


def at_border(state: Execution) -> bool:
    """Whether it could give back what it holds: nothing is under way, and nothing is being undone."""
    if _rests(state) or state.undoes or state.undoing:
        return False
    return all(step.status not in ("started", "in_doubt") for step in state.active.values())


def preempt(state: Execution, command: Preempt, actor: Actor) -> list[NewEvent]:
    hold = state.hold
    if hold is None or not hold.held or not hold.preemptible or not at_border(state):
        return []
    facts: dict[str, Any] = {"needs": dict(hold.needs.units), "priority": command.priority}
    if command.compensation:
        facts["compensation"] = True
    return [NewEvent("execution.preempted", facts, to_text(command.at), actor)]
