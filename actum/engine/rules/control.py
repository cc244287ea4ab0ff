"""What people do to an execution from outside: pause it, cancel it, have a step tried again, or go on without it. Pure.

Whoever asks writes into the execution's own stream; the worker that runs it, or the next one, carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import orjson

from actum.engine.rules.attempts import cancel_step, step_facts
from actum.engine.rules.children import cancel_children
from actum.engine.rules.commands import Cancel, Pause, RetryByHand, SkipByHand, Unpause
from actum.engine.rules.keys import about
from actum.engine.rules.state import ApprovalState, Execution, StepState
from actum.engine.rules.usage import spent_facts
from actum.errors import ControlRefused, near_miss
from actum.events import Actor, NewEvent, RecordedEvent, to_text, to_us

__all__ = [
    "cancel",
    "cancel_events",
    "last_failed",
    "pause",
    "pick_step",
    "retry_by_hand",
    "skip_by_hand",
    "unpause",
]

_ASKED: Final = frozenset(
    {"approval.requested", "timer.set", "transition.taken", "compensation.requested", "child.started", "race.decided"}
)
"""Events, beside the first start of a step, that say that the workflow went on."""
_WHO: Final = {"user": "a person", "system": "the system"}


def last_failed(events: Iterable[RecordedEvent]) -> list[str]:
    """The steps that failed for good and of which the workflow has made nothing that is recorded, in order."""
    failed: list[str] = []
    scheduled: set[tuple[Any, ...]] = set()
    for event in events:
        facts = event.facts
        if event.type in ("step.failed", "step.timed_out"):
            if facts.get("final"):
                scope = f"{facts['scope']}/" if "scope" in facts else ""
                failed.append(f"{scope}{facts['step']}#{facts['occurrence']}")
        elif event.type == "execution.resumed":
            again = facts.get("steps", ())
            failed = [key for key in failed if key not in again]
        elif event.type in _ASKED or _first_start(event, scheduled):
            failed = []
    return failed


def _first_start(event: RecordedEvent, scheduled: set[tuple[Any, ...]]) -> bool:
    """Whether the workflow has asked for a step here; one that was `scheduled` was asked for then."""
    if event.type in ("step.scheduled", "step.started"):
        facts = event.facts
        step = (facts.get("scope"), facts["step"], facts["occurrence"])
        known = step in scheduled
        if event.type == "step.scheduled":
            scheduled.add(step)
        return not known and bool(facts.get("attempt", 1) == 1)
    return event.type == "step.skipped" and event.facts["reason"] == "not_taken"


def _refuse(state: Execution, asked: str, why: str) -> ControlRefused:
    return ControlRefused(state.id, asked, why)


def _check_open(state: Execution, asked: str) -> None:
    if state.kind == "import":
        raise _refuse(state, asked, "it was imported: it ran elsewhere")
    if state.ended:
        raise _refuse(state, asked, f"it has {'been ' if state.status == 'cancelled' else ''}{state.status}")


# -- pausing -----------------------------------------------------------------------------------------------------------


def pause(state: Execution, command: Pause, actor: Actor) -> list[NewEvent]:
    _check_open(state, "paused")
    if state.paused:
        raise _refuse(state, "paused", "it is paused already")
    if state.status == "parked":
        raise _refuse(state, "paused", "it is parked: nothing of it runs until a person decides")
    if state.cancel_requested:
        raise _refuse(state, "paused", "it is being cancelled")
    facts = {} if command.reason is None else {"reason": command.reason}
    return [NewEvent("execution.paused", facts, to_text(command.at), actor)]


def unpause(state: Execution, command: Unpause, actor: Actor) -> list[NewEvent]:
    _check_open(state, "resumed")
    if not state.paused:
        raise _refuse(state, "resumed", f"it is not paused but {state.status}")
    return [NewEvent("execution.resumed", {}, to_text(command.at), actor)]


# -- cancelling --------------------------------------------------------------------------------------------------------


def cancel(state: Execution, command: Cancel, actor: Actor) -> list[NewEvent]:
    _check_open(state, "cancelled")
    at = to_text(command.at)
    if state.cancel_requested and not command.force:
        doubtful = [step for step in state.active.values() if step.status == "in_doubt"]
        if state.status != "parked" or not doubtful:
            raise _refuse(state, "cancelled", "it is being cancelled already; --force ends it at once, as it is")
        resumed = NewEvent("execution.resumed", {}, at, actor)
        return [resumed, *(cancel_step(step, at, actor) for step in doubtful)]
    events = cancel_events(
        state, at, actor, by=command.by, compensate=command.compensate, force=command.force, said=command.said
    )
    if command.force:
        given_up = ("retry", "scheduled")
        events += [cancel_step(step, at, actor) for step in state.active.values() if step.status not in given_up]
        left = [*state.uncompensated, *state.undo_stack]
        facts: dict[str, Any] = {
            "outcome": "cancelled",
            "by": command.by,
            "duration_us": max(0, command.at - to_us(state.started_at)),
            "active_us": state.active_us,
            **spent_facts(state.spent),
        }
        if left:
            facts["uncompensated"] = left[:200]
        error = {"type": "CancelledError", "message": f"ended at once by {_WHO[command.by]}", "traceback": ""}
        said: dict[str, Any] = {"error": error}
        if len(left) > 200:
            said["uncompensated"] = left
        events.append(NewEvent("execution.cancelled", facts, at, actor, payload=orjson.dumps(said)))
    return events


def cancel_events(
    state: Execution,
    at: str,
    actor: Actor,
    *,
    by: Literal["user", "system"],
    compensate: bool = True,
    force: bool = False,
    cause: Literal["deadline"] | None = None,
    said: bytes | None = None,
) -> list[NewEvent]:
    """The request, and what it ends by itself: steps that wait for another attempt, and open questions.

    Attempts that run are stopped by the worker that runs them; children that do not go on alone are asked to stop.
    """
    facts: dict[str, Any] = {"by": by, "compensate": compensate and not force}
    if force:
        facts["force"] = True
    if cause is not None:
        facts["cause"] = cause
    events = [NewEvent("execution.cancel_requested", facts, at, actor, payload=said)]
    given_up = ("retry", "scheduled", "in_doubt") if state.status == "parked" else ("retry", "scheduled")
    for step in state.active.values():
        if step.status in given_up or (step.status == "in_doubt" and step.again):  # it would run only to be undone
            events.append(cancel_step(step, at, actor))
    now = to_us(at)
    for key, question in state.waiting.items():
        if isinstance(question, ApprovalState):
            facts = {**about(key, "approval"), "waited_us": max(0, now - question.requested_us)}
            events.append(NewEvent("approval.withdrawn", facts, at, actor))
    return events + cancel_children(state, state.open_children, at, actor)


# -- trying again, and going on without --------------------------------------------------------------------------------


def retry_by_hand(state: Execution, command: RetryByHand, actor: Actor) -> list[NewEvent]:
    at = to_text(command.at)
    if state.status == "parked":
        doubtful = [step for step in state.active.values() if step.status == "in_doubt"]
        if not doubtful:
            raise _refuse(state, "retried", "no step of it is in doubt; `actum resume` tries to go on")
        steps = [step.key for step in doubtful]
        reopened = False
    else:
        _check_reopens(state, command.failed, "retried")
        steps = list(command.failed)
        reopened = True
    events = [_intervened("manual_retry", state.steps[key], None, command.reason, at, actor) for key in steps]
    return [*events, _resumed(steps, reopened, at, actor)]


def skip_by_hand(state: Execution, command: SkipByHand, actor: Actor) -> list[NewEvent]:
    at = to_text(command.at)
    step = state.steps.get(command.key)
    if step is None:
        raise _refuse(state, "changed", f"it has no step {command.key!r}{near_miss(command.key, state.steps)}")
    what = f"step {step.key!r}"
    events = [_intervened("skip", step, command.result, command.reason, at, actor)]
    if step.key in state.active and not step.cancelling:
        if step.status == "started":
            raise _refuse(state, "changed", f"{what} is running; pause or cancel the execution instead")
        doubtful = [other.key for other in state.active.values() if other.status == "in_doubt"]
        if state.status == "parked" and doubtful == [step.key]:
            events.append(_resumed([step.key], False, at, actor))
    elif state.ended and step.status == "failed":
        _check_reopens(state, command.failed, "changed")
        if step.key not in command.failed:
            raise _refuse(state, "changed", f"the workflow had gone on after {what} had failed; fork it instead")
        events.append(_resumed(list(command.failed), True, at, actor))
    else:
        raise _refuse(state, "changed", f"{what} is {step.status}: only what failed or waits can be skipped")
    facts = {**step_facts(step, max(step.attempt, 1)), "reason": "person"}
    return [*events, NewEvent("step.skipped", facts, at, actor, payload=command.result)]


def pick_step(state: Execution, wanted: str) -> str:
    """The key of the step that is meant: by key, or by name when one step of that name can be skipped."""
    if wanted in state.steps:
        return wanted
    named = [
        key
        for key, step in state.steps.items()
        if step.step == wanted and step.status in ("failed", "retry", "scheduled", "in_doubt")
    ]
    if len(named) == 1:
        return named[0]
    if named:
        raise _refuse(state, "changed", f"several steps are meant by {wanted!r}: {', '.join(named)}")
    known = [*state.steps, *(step.step for step in state.steps.values())]
    raise _refuse(state, "changed", f"it has no step {wanted!r} that failed or waits{near_miss(wanted, known)}")


def _check_reopens(state: Execution, failed: Any, asked: str) -> None:
    if state.kind == "import":
        raise _refuse(state, asked, "it was imported: it ran elsewhere")
    if state.status != "failed":
        raise _refuse(state, asked, f"it has not failed but is {state.status}")
    if state.compensating:
        raise _refuse(state, asked, "what it had done was undone; fork it from an event before that")
    if state.cancel_requested:
        raise _refuse(state, asked, "it came to its deadline; start or fork it anew")
    if not failed:
        why = "it did not fail because of a step, or had gone on after the step had failed"
        raise _refuse(state, asked, f"{why}; fork it from an event before that")
    for key in failed:
        if key not in state.steps:
            raise _refuse(state, asked, f"it has no step {key!r}{near_miss(key, state.steps)}")


def _intervened(kind: str, step: StepState, after: bytes | None, reason: str, at: str, actor: Actor) -> NewEvent:
    facts = {"kind": kind, "step": step.step}
    said = {
        "key": step.key,
        "before": {"status": step.status, "error": step.error or None},
        "after": None if after is None else orjson.loads(after),
        "reason": reason,
    }
    return NewEvent("intervention.recorded", facts, at, actor, payload=orjson.dumps(said))


def _resumed(steps: list[str], reopened: bool, at: str, actor: Actor) -> NewEvent:
    facts: dict[str, Any] = {"steps": steps}
    if reopened:
        facts["reopened"] = True
    return NewEvent("execution.resumed", facts, at, actor)
