"""Compensation: completed steps are undone in reverse order of completion. Pure.

One at a time, but for neighbours of one group, which are undone side by side. That holds for what the end of an
execution undoes as for what its workflow asks to be undone on the way.
"""

from __future__ import annotations

from typing import Any

from actum.engine.rules.attempts import said
from actum.engine.rules.commands import RecordUndo, RecordUndoFailure
from actum.engine.rules.keys import about
from actum.engine.rules.state import Execution, StepState
from actum.events import Actor, NewEvent, to_text

__all__ = ["record_undo", "record_undo_failure", "roll_back", "start_undo", "start_undos"]


NAMED = 200
"""Steps that one event names at most: more would not fit its header."""


def _undo_facts(step: StepState, attempt: int) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "step": step.step,
        "occurrence": step.occurrence,
        "compensation": step.compensation,
        "attempt": attempt,
    }
    if step.scope:
        facts["scope"] = step.scope
    return facts


def start_undo(step: StepState, attempt: int, at: str, actor: Actor) -> NewEvent:
    return NewEvent("compensation.started", _undo_facts(step, attempt), at, actor)


def start_undos(state: Execution, wanted: list[str], at: str, actor: Actor) -> list[NewEvent]:
    """Begin with the last of these, which are in order of completion, and with its neighbours of the same group."""
    last = state.steps[wanted[-1]]
    events = [start_undo(last, 1, at, actor)]
    if last.undo_group is not None:
        for key in reversed(wanted[:-1]):
            step = state.steps[key]
            if step.undo_group != last.undo_group:
                break
            events.append(start_undo(step, 1, at, actor))
    return events


def roll_back(state: Execution, at: str, actor: Actor) -> list[NewEvent]:
    """Go on with what the workflow has asked to be undone."""
    left = set(state.undo_stack)
    events = []
    for key in state.rolling:
        rollback = state.rollbacks[key]
        if left.isdisjoint(rollback.targets):
            facts: dict[str, Any] = about(key, "compensation")
            failed = [target for target in rollback.targets if state.steps[target].undo == "failed"]
            if failed:
                facts["uncompensated"] = failed[:NAMED]
            events.append(NewEvent("compensation.ended", facts, at, actor))
    if events or state.undoing:
        return events
    asked = {target for key in state.rolling for target in state.rollbacks[key].targets}
    return start_undos(state, [key for key in state.undo_stack if key in asked], at, actor)


def record_undo(state: Execution, command: RecordUndo, actor: Actor) -> list[NewEvent]:
    step = state.steps.get(command.key)
    if step is None or step.undo != "started" or step.undo_attempt != command.attempt or state.ended:
        return []
    facts = {**_undo_facts(step, command.attempt), "outcome": "success", "duration_us": command.duration_us}
    return [NewEvent("compensation.completed", facts, to_text(command.at), actor)]


def record_undo_failure(state: Execution, command: RecordUndoFailure, actor: Actor) -> list[NewEvent]:
    step = state.steps.get(command.key)
    if step is None or step.undo != "started" or step.undo_attempt != command.attempt or state.ended:
        return []
    failure = command.failure
    failures = step.undo_failures + 1
    final = not command.retry.allows(failures, (failure.error_type, *failure.bases))
    facts = {
        **_undo_facts(step, command.attempt),
        "outcome": "timeout" if command.timed_out else "failure",
        "error_type": failure.error_type,
        "duration_us": command.duration_us,
        "final": final,
    }
    if not final:
        facts["not_before"] = to_text(command.at + command.retry.delay_us(failures, command.chance))
    spoken = said(failure)
    return [NewEvent("compensation.failed", facts, to_text(command.at), actor, payload=spoken)]
