"""Every rule of an execution: a command and the state in, the events that follow out. Pure; changes nothing.

`evolve` (in `state.py`) is the other half. The runtime folds what is returned here, and asks again with
`Proceed` until nothing follows, so each rule may look only at the state it is given.
"""

from __future__ import annotations

from typing import Any, assert_never

import orjson

from actum.engine.calls import Approve, Call, Done, Failure, Give, Skip, Sleep, Take, Wish
from actum.engine.codec import encode, encode_arguments, encode_question
from actum.engine.commands import (
    Begin,
    Claim,
    Command,
    DecideApproval,
    Park,
    ParkErased,
    Proceed,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RecordUndoFailure,
    RunAgain,
    Tick,
    UpgradeCode,
)
from actum.engine.state import ApprovalState, Execution, StepState
from actum.errors import BadInput, NotWaiting
from actum.events import Actor, NewEvent, to_text, to_us

__all__ = ["decide"]

_WORDS = 16_000
"""Characters of an error's text, and of its traceback, that are recorded."""


def decide(state: Execution, command: Command, actor: Actor) -> list[NewEvent]:
    """The events that a command causes; none means there is nothing to do.

    Answers that come too late (for an attempt that is no longer the current one, or after the end) cause
    nothing. Only `DecideApproval` refuses, with `NotWaiting`, because a person must hear of it.
    """
    match command:
        case RecordSuccess():
            return _record_success(state, command, actor)
        case Proceed():
            return _proceed(state, command, actor)
        case RecordFailure():
            return _record_failure(state, command, actor)
        case Begin():
            return [] if state.version else [_begin(command, actor)]
        case Claim():
            return _claim(state, command, actor)
        case UpgradeCode():
            if state.ended or state.definition == command.definition:
                return []
            facts = {"before": state.definition, "after": command.definition}
            return [NewEvent("code.upgraded", facts, to_text(command.at), actor)]
        case RunAgain():
            step = state.active.get(command.key)
            if step is None or step.status != "in_doubt":
                return []
            return [_start(step, step.attempt + 1, to_text(command.at), actor)]
        case Park():
            step = state.active.get(command.key)
            if step is None or step.status != "in_doubt":
                return []
            return [_park(step, command.detail, to_text(command.at), actor)]
        case ParkErased():
            return [] if state.ended or state.status == "parked" else [_park_erased(command, actor)]
        case RecordUndo():
            return _record_undo(state, command, actor)
        case RecordUndoFailure():
            return _record_undo_failure(state, command, actor)
        case Tick():
            return _tick(state, command.at, actor)
        case DecideApproval():
            return [_decide_approval(state, command)]
        case _:
            assert_never(command)


# -- beginning and taking over ---------------------------------------------------------------------------------


def _begin(command: Begin, actor: Actor) -> NewEvent:
    facts = {"workflow": command.workflow, "kind": command.kind, "definition": command.definition}
    if command.key is not None:
        facts["key"] = command.key
    return NewEvent("execution.started", facts, to_text(command.at), actor, payload=command.input)


def _claim(state: Execution, command: Claim, actor: Actor) -> list[NewEvent]:
    if state.ended:
        return []
    at = to_text(command.at)
    reason = "resume" if state.owner in ("", command.worker) else "takeover"
    events = [NewEvent("execution.claimed", {"worker": command.worker, "reason": reason}, at, actor)]
    parked: StepState | None = None
    again: list[StepState] = []
    for step in state.active.values():
        if step.status not in ("started", "in_doubt"):
            continue
        action = command.doubts.get(step.key, "retry")
        if step.status == "started":
            facts = {**_step_facts(step, step.attempt), "action": action}
            events.append(NewEvent("step.in_doubt", facts, at, actor))
        if action == "retry":
            again.append(step)
        elif action == "park":
            parked = step
    if parked is not None:  # then nothing starts: whoever looks finds the execution at rest
        return [*events, _park(parked, "its effect may have happened", at, actor)]
    events += [_start(step, step.attempt + 1, at, actor) for step in again]
    if state.undoing is not None and state.steps[state.undoing].undo == "started":
        undone = state.steps[state.undoing]
        events.append(_start_undo(undone, undone.undo_attempt + 1, at, actor))
    return events


def _park(step: StepState, detail: str, at: str, actor: Actor) -> NewEvent:
    facts = {"reason": "in_doubt", "step": step.step}
    said = orjson.dumps({"detail": _words(Failure("", detail))["message"]})
    return NewEvent("execution.parked", facts, at, actor, payload=said)


def _park_erased(command: ParkErased, actor: Actor) -> NewEvent:
    said = orjson.dumps({"detail": f"the payload of event {command.version} ({command.what}) was erased"})
    return NewEvent("execution.parked", {"reason": "erased"}, to_text(command.at), actor, payload=said)


# -- the workflow's wishes ---------------------------------------------------------------------------------------


def _proceed(state: Execution, command: Proceed, actor: Actor) -> list[NewEvent]:
    if state.ended or state.paused or state.status == "parked":
        return []
    at = to_text(command.at)
    events: list[NewEvent] = []
    wishes = command.wishes
    end: Done | Give | None = None
    for wish in wishes:
        if type(wish) is Done or type(wish) is Give:
            end = wish
            break
    if end is not None:  # what other branches asked for in the same breath does not begin any more
        wishes = [wish for wish in wishes if isinstance(wish, (Take, Skip))]
    for wish in wishes:
        if type(wish) is Call:
            events += _call(state, wish, at, actor, command.limit_bytes)
        else:
            events += _other_wish(state, wish, command, at, actor)
    if end is None or events:
        return events
    if any(step.status != "retry" for step in state.active.values()):
        return events  # nothing ends while an attempt runs: its effect may need undoing
    return _end(state, end, command, at, actor)


def _call(state: Execution, call: Call, at: str, actor: Actor, limit_bytes: int) -> list[NewEvent]:
    if call.key in state.steps:
        return []
    spec = call.spec
    facts: dict[str, Any] = {"step": spec.name, "occurrence": call.occurrence, "attempt": 1}
    if call.scope:
        facts["scope"] = call.scope
    if spec.tool is not None:
        facts["tool"] = spec.tool
    started = dict(facts)
    if spec.compensate is not None:
        started["compensation"] = spec.compensate.name
    try:
        payload = encode_arguments(call.args, call.kwargs, limit_bytes)
    except BadInput as exc:  # recorded as the step's failure: the workflow can see it, and so can the reader
        said = _said(Failure("UnrecordableInput", str(exc)))
        failed = {**facts, "outcome": "failure", "error_type": "UnrecordableInput", "final": True, "duration_us": 0}
        return [
            NewEvent("step.started", started, at, actor),
            NewEvent("step.failed", failed, at, actor, payload=said),
        ]
    return [NewEvent("step.started", started, at, actor, payload=payload)]


def _other_wish(state: Execution, wish: Wish, command: Proceed, at: str, actor: Actor) -> list[NewEvent]:
    match wish:
        case Approve(approval, occurrence, scope):
            if wish.key in state.approvals:
                return []
            facts: dict[str, Any] = {
                "approval": approval.name,
                "occurrence": occurrence,
                "severity": approval.severity,
            }
            if scope:
                facts["scope"] = scope
            if approval.policy is not None:
                facts["policy"] = approval.policy
            if approval.deadline_s is not None:
                facts["deadline"] = to_text(command.at + int(approval.deadline_s * 1_000_000))
            return [NewEvent("approval.requested", facts, at, actor, payload=encode_question(approval))]
        case Sleep(seconds, occurrence, scope, name):
            if wish.key in state.timers:
                return []
            facts = {"timer": name, "occurrence": occurrence, "due": to_text(command.at + int(seconds * 1_000_000))}
            if scope:
                facts["scope"] = scope
            return [NewEvent("timer.set", facts, at, actor)]
        case Take(source, source_occurrence, target, condition, value):
            if (source, source_occurrence, target) in state.taken:
                return []
            facts = {"source": source, "source_occurrence": source_occurrence, "target": target}
            saw = None
            if condition is not None:
                facts["condition"] = condition
                try:
                    saw = encode({"value": value}, "what the condition saw", command.limit_bytes)
                except BadInput as exc:
                    saw = orjson.dumps({"left_out": str(exc)})
            return [NewEvent("transition.taken", facts, at, actor, payload=saw)]
        case Skip(step, occurrence):
            if f"{step}#{occurrence}" in state.steps:
                return []
            return [
                NewEvent("step.skipped", {"step": step, "occurrence": occurrence, "reason": "not_taken"}, at, actor)
            ]
        case Call() | Done() | Give():
            return []
        case _:
            assert_never(wish)


def _end(state: Execution, end: Done | Give, command: Proceed, at: str, actor: Actor) -> list[NewEvent]:
    took: dict[str, Any] = {
        "duration_us": max(0, command.at - to_us(state.started_at)),
        "active_us": state.active_us,
    }
    if isinstance(end, Done):
        try:
            output = encode({"output": end.output}, "the workflow's output", command.limit_bytes)
            return [NewEvent("execution.completed", {"outcome": "success", **took}, at, actor, payload=output)]
        except BadInput as exc:  # it has not done what it was for: a failure like any other
            end = Give(Failure("UnrecordableOutput", str(exc)))
    if state.undoing is not None:
        return []  # one at a time, in reverse order of completion
    if state.undo_stack:
        return [_start_undo(state.steps[state.undo_stack[-1]], 1, at, actor)]
    facts: dict[str, Any] = {"outcome": "failure", "error_type": end.error.error_type, **took}
    if state.uncompensated:
        facts["uncompensated"] = list(state.uncompensated)
    error = {"type": end.error.error_type, **_words(end.error)}
    return [NewEvent("execution.failed", facts, at, actor, payload=orjson.dumps({"error": error}))]


# -- the ends of attempts ----------------------------------------------------------------------------------------


def _words(failure: Failure) -> dict[str, str]:
    """What an error says, cut to what fits an event: a failure must never fail to be recorded."""
    message = failure.message
    if len(message) > _WORDS:
        message = f"{message[:_WORDS]} … ({len(message) - _WORDS:,} characters left out)"
    said = {"message": message, "traceback": failure.traceback[-_WORDS:]}
    for name, text in said.items():
        if not text.isascii():  # file names may hold what is no Unicode text
            said[name] = text.encode("utf-8", "replace").decode()
    return said


def _said(failure: Failure) -> bytes:
    return orjson.dumps(_words(failure))


def _step_facts(step: StepState, attempt: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"step": step.step, "occurrence": step.occurrence, "attempt": attempt}
    if step.scope:
        facts["scope"] = step.scope
    if step.tool is not None:
        facts["tool"] = step.tool
    return facts


def _start(step: StepState, attempt: int, at: str, actor: Actor) -> NewEvent:
    facts = _step_facts(step, attempt)
    if step.compensation is not None:
        facts["compensation"] = step.compensation
    return NewEvent("step.started", facts, at, actor)


def _current(state: Execution, key: str, attempt: int) -> StepState | None:
    """The step, if this attempt of it is the one whose answer is awaited."""
    step = state.active.get(key)
    if step is None or step.attempt != attempt or step.status not in ("started", "in_doubt"):
        return None
    return step


def _record_success(state: Execution, command: RecordSuccess, actor: Actor) -> list[NewEvent]:
    step = _current(state, command.key, command.attempt)
    if step is None:
        return []
    facts = _step_facts(step, step.attempt)
    facts["outcome"] = "success"
    facts["duration_us"] = command.duration_us
    return [NewEvent("step.completed", facts, to_text(command.at), actor, payload=command.result)]


def _record_failure(state: Execution, command: RecordFailure, actor: Actor) -> list[NewEvent]:
    step = _current(state, command.key, command.attempt)
    if step is None:
        return []
    at = to_text(command.at)
    failure = command.failure
    failures = step.failures + 1
    again = command.retry.allows(failures, (failure.error_type, *failure.bases))
    facts = _step_facts(step, step.attempt)
    said = _said(failure)
    if command.timeout_us is None:
        facts |= {"outcome": "failure", "error_type": failure.error_type, "duration_us": command.duration_us}
        type_ = "step.failed"
    else:
        facts |= {"outcome": "timeout", "timeout_us": command.timeout_us, "duration_us": command.duration_us}
        type_ = "step.timed_out"
    facts["final"] = not again
    events = [NewEvent(type_, facts, at, actor, payload=said)]
    if again:
        delay_us = command.retry.delay_us(failures, command.chance)
        after = {
            **_step_facts(step, step.attempt + 1),
            "delay_us": delay_us,
            "not_before": to_text(command.at + delay_us),
        }
        events.append(NewEvent("step.retry_scheduled", after, at, actor))
    return events


# -- compensation ------------------------------------------------------------------------------------------------


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


def _start_undo(step: StepState, attempt: int, at: str, actor: Actor) -> NewEvent:
    return NewEvent("compensation.started", _undo_facts(step, attempt), at, actor)


def _record_undo(state: Execution, command: RecordUndo, actor: Actor) -> list[NewEvent]:
    step = state.steps.get(command.key)
    if step is None or step.undo != "started" or step.undo_attempt != command.attempt or state.ended:
        return []
    facts = {**_undo_facts(step, command.attempt), "outcome": "success", "duration_us": command.duration_us}
    return [NewEvent("compensation.completed", facts, to_text(command.at), actor)]


def _record_undo_failure(state: Execution, command: RecordUndoFailure, actor: Actor) -> list[NewEvent]:
    step = state.steps.get(command.key)
    if step is None or step.undo != "started" or step.undo_attempt != command.attempt or state.ended:
        return []
    failure = command.failure
    failures = step.undo_failures + 1
    final = not command.retry.allows(failures, (failure.error_type, *failure.bases))
    facts = {
        **_undo_facts(step, command.attempt),
        "outcome": "failure",
        "error_type": failure.error_type,
        "duration_us": command.duration_us,
        "final": final,
    }
    if not final:
        facts["not_before"] = to_text(command.at + command.retry.delay_us(failures, command.chance))
    said = _said(failure)
    return [NewEvent("compensation.failed", facts, to_text(command.at), actor, payload=said)]


# -- time and people ---------------------------------------------------------------------------------------------


def _tick(state: Execution, now: int, actor: Actor) -> list[NewEvent]:
    if state.ended or state.paused or state.status == "parked":
        return []
    at = to_text(now)
    events = [
        _start(step, step.attempt + 1, at, actor)
        for step in state.active.values()
        if step.status == "retry" and step.not_before_us <= now
    ]
    if state.undoing is not None:
        step = state.steps[state.undoing]
        if step.undo == "retry" and step.undo_not_before_us <= now:
            events.append(_start_undo(step, step.undo_attempt + 1, at, actor))
    for key, open_ in state.waiting.items():
        if isinstance(open_, ApprovalState):
            if open_.deadline_us is not None and open_.deadline_us <= now:
                facts = {**_split(key, "approval"), "waited_us": max(0, now - open_.requested_us)}
                events.append(NewEvent("approval.expired", facts, at, actor))
        elif open_.due_us <= now:
            facts = {**_split(key, "timer"), "late_us": now - open_.due_us}
            events.append(NewEvent("timer.fired", facts, at, actor))
    return events


def _split(key: str, name: str) -> dict[str, Any]:
    """The facts that a key was made of."""
    path, _, occurrence = key.rpartition("#")
    scope, _, last = path.rpartition("/")
    facts: dict[str, Any] = {name: last, "occurrence": int(occurrence)}
    if scope:
        facts["scope"] = scope
    return facts


def _decide_approval(state: Execution, command: DecideApproval) -> NewEvent:
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
        **_split(command.key, "approval"),
        "shown": command.shown,
        "waited_us": max(0, command.at - approval.requested_us),
    }
    type_ = "approval.granted" if command.granted else "approval.rejected"
    return NewEvent(type_, facts, to_text(command.at), Actor("person", command.person), payload=command.comment)
