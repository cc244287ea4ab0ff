"""The ends of attempts: a result, an error, another try. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from actum.engine.resources.needs import Needs
from actum.engine.rules.calls import Failure
from actum.engine.rules.commands import RecordCancelled, RecordFailure, RecordSuccess, Refuse
from actum.engine.rules.pledges import Pledges
from actum.engine.rules.state import Execution, StepState
from actum.errors import BudgetExceeded
from actum.events import Actor, NewEvent, to_text

__all__ = [
    "begin_step",
    "cancel_step",
    "never_started",
    "record_cancelled",
    "record_failure",
    "record_success",
    "refuse_step",
    "said",
    "start_step",
    "step_facts",
    "with_needs",
    "words",
]

_WORDS = 16_000
"""Characters of an error's text, and of its traceback, that are recorded."""


def words(failure: Failure) -> dict[str, str]:
    """What an error says, cut to what fits an event: a failure must never fail to be recorded."""
    message = failure.message
    if len(message) > _WORDS:
        message = f"{message[:_WORDS]} … ({len(message) - _WORDS:,} characters left out)"
    said = {"message": message, "traceback": failure.traceback[-_WORDS:]}
    for name, text in said.items():
        if not text.isascii():  # file names may hold what is no Unicode text
            said[name] = text.encode("utf-8", "replace").decode()
    return said


def said(failure: Failure) -> bytes:
    return orjson.dumps(words(failure))


def step_facts(step: StepState, attempt: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"step": step.step, "occurrence": step.occurrence, "attempt": attempt}
    if step.scope:
        facts["scope"] = step.scope
    if step.tool is not None:
        facts["tool"] = step.tool
    return facts


def with_needs(facts: dict[str, Any], needs: Needs) -> dict[str, Any]:
    """The facts of a step that is scheduled."""
    if needs.units:
        facts["needs"] = dict(needs.units)
    if needs.limits:
        facts["limits"] = list(needs.limits)
    if needs.breaker:
        facts["breaker"] = needs.breaker
    if needs.priority is not None:
        facts["priority"] = needs.priority
    return facts


def start_step(step: StepState, attempt: int, at: str, actor: Actor) -> NewEvent:
    """The attempt begins; one that needs something is scheduled, and begins when it has got that."""
    if step.needs is None:
        return begin_step(step, attempt, at, actor)
    return NewEvent("step.scheduled", with_needs(_started_facts(step, attempt), step.needs), at, actor)


def begin_step(step: StepState, attempt: int, at: str, actor: Actor) -> NewEvent:
    return NewEvent("step.started", _started_facts(step, attempt), at, actor)


def _started_facts(step: StepState, attempt: int) -> dict[str, Any]:
    facts = step_facts(step, attempt)
    if step.compensation is not None:
        facts["compensation"] = step.compensation
        if step.undo_group is not None:
            facts["undo_group"] = step.undo_group
    if step.pivot:
        facts["pivot"] = True
    return facts


def _current(state: Execution, key: str, attempt: int) -> StepState | None:
    """The step, if this attempt of it is the one whose answer is awaited."""
    step = state.active.get(key)
    if step is None or step.attempt != attempt or step.status not in ("started", "in_doubt"):
        return None
    return step


def never_started(
    facts: dict[str, Any], started: dict[str, Any], why: Failure, at: str, actor: Actor, given: bytes | None = None
) -> list[NewEvent]:
    """An attempt that cannot begin, as a failure for good: the workflow can see it, and so can the reader."""
    failed = {**facts, "outcome": "failure", "error_type": why.error_type, "final": True, "duration_us": 0}
    return [
        NewEvent("step.started", {**facts, **started}, at, actor, payload=given),
        NewEvent("step.failed", failed, at, actor, payload=said(why)),
    ]


def _not_again(state: Execution, step: StepState, command: RecordFailure) -> Failure | None:
    """Why the budget, after this attempt, does not allow for another one."""
    if command.budget is None:
        return None
    try:
        Pledges(state, command.at, step, command.used).ask(step.step, command.budget, command.estimate)
    except BudgetExceeded as exc:
        return Failure("BudgetExceeded", str(exc))
    return None


def record_success(state: Execution, command: RecordSuccess, actor: Actor) -> list[NewEvent]:
    step = _current(state, command.key, command.attempt)
    if step is None:
        return []
    facts = step_facts(step, step.attempt)
    facts["outcome"] = "success"
    facts["duration_us"] = command.duration_us
    if command.used is not None:
        facts |= command.used
    return [NewEvent("step.completed", facts, to_text(command.at), actor, payload=command.result)]


def cancel_step(step: StepState, at: str, actor: Actor, reason: str = "cancel") -> NewEvent:
    """Give a step up: what its attempt has done, if one was under way, nobody knows."""
    attempt = step.attempt + 1 if step.status == "scheduled" else step.attempt
    return NewEvent("step.cancelled", {**step_facts(step, attempt), "reason": reason}, at, actor)


def record_cancelled(state: Execution, command: RecordCancelled, actor: Actor) -> list[NewEvent]:
    step = _current(state, command.key, command.attempt)
    if step is None:
        return []
    event = cancel_step(step, to_text(command.at), actor)
    event.facts.update(command.used or {})
    return [event]


def record_failure(state: Execution, command: RecordFailure, actor: Actor) -> list[NewEvent]:
    step = _current(state, command.key, command.attempt)
    if step is None:
        return []
    at = to_text(command.at)
    failure = command.failure
    if step.cancelling:
        said_of_it = {"reason": "cancel", "duration_us": command.duration_us, "error_type": failure.error_type}
        said_of_it |= command.used or {}
        return [NewEvent("step.cancelled", {**step_facts(step, step.attempt), **said_of_it}, at, actor)]
    return _failed(state, step, step.attempt, command, actor)


def refuse_step(state: Execution, step: StepState, command: Refuse, actor: Actor) -> list[NewEvent]:
    """The attempt begins and has failed at once: it is tried again as after any failure."""
    attempt = step.attempt + 1
    return [begin_step(step, attempt, to_text(command.at), actor), *_failed(state, step, attempt, command, actor)]


def _failed(
    state: Execution, step: StepState, attempt: int, command: RecordFailure | Refuse, actor: Actor
) -> list[NewEvent]:
    at, failure = to_text(command.at), command.failure
    duration_us = command.duration_us if isinstance(command, RecordFailure) else 0
    timeout_us = command.timeout_us if isinstance(command, RecordFailure) else None
    failures = step.failures + 1
    again = command.retry.allows(failures, (failure.error_type, *failure.bases))
    facts = step_facts(step, attempt)
    spoken = said(failure)
    if timeout_us is None:
        facts |= {"outcome": "failure", "error_type": failure.error_type, "duration_us": duration_us}
        type_ = "step.failed"
    else:
        facts |= {"outcome": "timeout", "timeout_us": timeout_us, "duration_us": duration_us}
        type_ = "step.timed_out"
    facts["final"] = not again
    refusal: Failure | None = None
    if isinstance(command, RecordFailure):
        facts |= command.used or {}
        refusal = _not_again(state, step, command) if again else None
    events = [NewEvent(type_, facts, at, actor, payload=spoken)]
    if refusal is not None:
        events += never_started(step_facts(step, attempt + 1), {}, refusal, at, actor)
    elif again:
        delay_us = command.retry.delay_us(failures, command.chance)
        after = {
            **step_facts(step, attempt + 1),
            "delay_us": delay_us,
            "not_before": to_text(command.at + delay_us),
        }
        events.append(NewEvent("step.retry_scheduled", after, at, actor))
    return events
