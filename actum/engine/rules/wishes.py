"""What a workflow asks for, as far as it may be done now; and how it ends. Pure."""

from __future__ import annotations

from typing import Any, assert_never

import orjson

from actum.engine.payloads.codec import encode, encode_arguments, encode_question
from actum.engine.rules.attempts import never_started, with_needs, words
from actum.engine.rules.budgets import Budget
from actum.engine.rules.calls import (
    Approve,
    Call,
    CancelChild,
    Child,
    Continue,
    Done,
    Failure,
    Give,
    Mark,
    Raced,
    Receive,
    SignalChild,
    Skip,
    Sleep,
    Spawn,
    Take,
    Undo,
    Wait,
    Wish,
)
from actum.engine.rules.children import cancel_child, cancel_children, next_id, signal_child, start_child
from actum.engine.rules.commands import Proceed
from actum.engine.rules.pledges import Pledges
from actum.engine.rules.races import decide_race
from actum.engine.rules.state import Execution
from actum.engine.rules.undoing import NAMED, roll_back, start_undos
from actum.engine.rules.usage import spent_facts
from actum.errors import BadInput, BudgetExceeded
from actum.events import Actor, NewEvent, to_text, to_us

__all__ = ["proceed"]


def proceed(state: Execution, command: Proceed, actor: Actor) -> list[NewEvent]:
    if state.ended or state.paused or state.status == "parked":
        return []
    at = to_text(command.at)
    events: list[NewEvent] = []
    wishes = command.wishes
    end: Done | Give | Continue | None = None
    for wish in wishes:
        if type(wish) is Done or type(wish) is Give or type(wish) is Continue:
            end = wish
            break
    if end is None and state.held_up:
        return []
    if end is not None:  # what other branches asked for in the same breath does not begin any more
        wishes = [wish for wish in wishes if _needs_nobody(wish)]
    pledges: Pledges | None = None
    for wish in wishes:
        if type(wish) is Call:
            if command.budget is not None or wish.spec.budget is not None:
                pledges = pledges or Pledges(state, command.at)
                events += _call(state, wish, at, actor, command.limit_bytes, pledges, command.budget)
            else:
                events += _call(state, wish, at, actor, command.limit_bytes)
        elif type(wish) is Spawn and command.budget is not None:
            pledges = pledges or Pledges(state, command.at)
            events += start_child(state, wish, at, actor, pledges, command.budget)
        else:
            events += _other_wish(state, wish, command, at, actor)
    if state.rolling and not events and not state.held_up:
        events = roll_back(state, at, actor)
    if end is None or events or state.rolling:
        return events
    if any(step.status not in ("retry", "scheduled") for step in state.active.values()):
        return events  # nothing ends while an attempt runs: its effect may need undoing
    return _end(state, end, command, at, actor)


def _needs_nobody(wish: Wish) -> bool:
    """Whether it is done even if the workflow ends in the same breath."""
    if isinstance(wish, Spawn):
        return wish.child.detached
    return isinstance(wish, (Take, Skip, Raced, Mark, SignalChild, CancelChild))


def _call(
    state: Execution,
    call: Call,
    at: str,
    actor: Actor,
    limit_bytes: int,
    pledges: Pledges | None = None,
    budget: Budget | None = None,
) -> list[NewEvent]:
    if call.key in state.steps:
        return []
    spec = call.spec
    facts: dict[str, Any] = {"step": spec.name, "occurrence": call.occurrence, "attempt": 1}
    if call.scope:
        facts["scope"] = call.scope
    if spec.tool is not None:
        facts["tool"] = spec.tool
    started = dict(facts)
    needs = spec.needs
    if spec.compensate is not None:
        started["compensation"] = spec.compensate.name
        if spec.undo_group is not None:
            started["undo_group"] = spec.undo_group
    if spec.pivot:
        started["pivot"] = True
    try:
        payload = call.given or encode_arguments(call.args, call.kwargs, limit_bytes)
    except BadInput as exc:  # recorded as the step's failure: the workflow can see it, and so can the reader
        return never_started(facts, started, Failure("UnrecordableInput", str(exc)), at, actor)
    if pledges is not None:
        nearest = budget if spec.budget is None else spec.budget.over(budget)
        assert nearest is not None
        try:
            kept = pledges.ask(spec.name, nearest, spec.estimate)
        except BudgetExceeded as exc:
            return never_started(facts, {}, Failure("BudgetExceeded", str(exc)), at, actor, payload)
        if kept:
            started["reserved"] = kept
    if needs is not None:
        if not needs.refused:
            return [NewEvent("step.scheduled", with_needs(started, needs), at, actor, payload=payload)]
        failure = Failure("NeverGranted", f"step {spec.name!r} can never begin: {needs.refused}")
        return never_started(facts, started, failure, at, actor, payload)
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
        case Sleep(seconds, occurrence, scope, name, until_us):
            if wish.key in state.timers:
                return []
            due_us = command.at + int(seconds * 1_000_000) if until_us is None else until_us
            facts = {"timer": name, "occurrence": occurrence, "due": to_text(due_us)}
            if scope:
                facts["scope"] = scope
            return [NewEvent("timer.set", facts, at, actor)]
        case Undo(since, occurrence, scope, name):
            if wish.key in state.rollbacks:
                return []
            facts = {"compensation": name, "occurrence": occurrence, "since": since}
            if scope:
                facts["scope"] = scope
            return [NewEvent("compensation.requested", facts, at, actor)]
        case Receive(name, prompt, occurrence, scope):
            if wish.key in state.inputs:
                return []
            facts = {"input": name, "occurrence": occurrence}
            if scope:
                facts["scope"] = scope
            try:
                shown = encode({"prompt": prompt}, "what is asked for", command.limit_bytes)
            except BadInput as exc:
                shown = orjson.dumps({"left_out": str(exc)})
            return [NewEvent("input.requested", facts, at, actor, payload=shown)]
        case Take(source, source_occurrence, target, condition, value, scope):
            if (f"{scope}/{source}" if scope else source, source_occurrence, target) in state.taken:
                return []
            facts = {"source": source, "source_occurrence": source_occurrence, "target": target}
            if scope:
                facts["scope"] = scope
            saw = None
            if condition is not None:
                facts["condition"] = condition
                try:
                    saw = encode({"value": value}, "what the condition saw", command.limit_bytes)
                except BadInput as exc:
                    saw = orjson.dumps({"left_out": str(exc)})
            return [NewEvent("transition.taken", facts, at, actor, payload=saw)]
        case Skip(step, occurrence, scope):
            if wish.key in state.steps:
                return []
            facts = {"step": step, "occurrence": occurrence, "reason": "not_taken"}
            if scope:
                facts["scope"] = scope
            return [NewEvent("step.skipped", facts, at, actor)]
        case Wait(signal, occurrence, scope):
            if wish.key in state.awaited:
                return []
            facts = {"signal": signal, "occurrence": occurrence}
            if scope:
                facts["scope"] = scope
            return [NewEvent("signal.awaited", facts, at, actor)]
        case Spawn():
            return start_child(state, wish, at, actor)
        case SignalChild():
            return signal_child(state, wish, at, actor, command.limit_bytes)
        case CancelChild():
            return cancel_child(state, wish, at, actor)
        case Raced():
            return decide_race(state, wish, at, actor)
        case Mark(patch, after):
            if patch in state.patches:
                return []
            return [NewEvent("patch.marked", {"patch": patch, "after": after}, at, actor)]
        case Child() | Call() | Done() | Give() | Continue():
            return []
        case _:
            assert_never(wish)


def _end(state: Execution, end: Done | Give | Continue, command: Proceed, at: str, actor: Actor) -> list[NewEvent]:
    took: dict[str, Any] = {
        "duration_us": max(0, command.at - to_us(state.first_at or state.started_at)),
        "active_us": state.active_us,
        **spent_facts(state.spent),
    }
    held = any(child.on_parent_close == "wait" for child in state.open_children.values())
    if held and not isinstance(end, Give) and not state.cancel_requested:
        return []
    if isinstance(end, Continue) and not state.cancel_requested:
        try:
            encode({"input": end.input}, "the input to go on with", command.limit_bytes)
            return [NewEvent("execution.continued", {"next": next_id(state), **took}, at, actor)]
        except BadInput as exc:
            end = Give(Failure("UnrecordableInput", str(exc)))
    stop = cancel_children(state, state.open_children, at, actor) if state.open_children else []
    if isinstance(end, Done) and not state.cancel_requested:
        try:
            output = encode({"output": end.output}, "the workflow's output", command.limit_bytes)
            completed = NewEvent("execution.completed", {"outcome": "success", **took}, at, actor, payload=output)
            return [*stop, completed, *_corrected(state, "success", at, actor)]
        except BadInput as exc:  # it has not done what it was for: a failure like any other
            end = Give(Failure("UnrecordableOutput", str(exc)))
    if state.undoing or held:
        return stop  # in reverse order of completion
    undoes = state.cancel_compensate or not state.cancel_requested
    if state.undo_stack and undoes:
        if state.held_up:
            return stop
        return [*stop, *start_undos(state, state.undo_stack, at, actor)]
    left = [*state.uncompensated, *([] if undoes else state.undo_stack)]
    return [*stop, *end_badly(state, end.error if isinstance(end, Give) else None, left, took, at, actor)]


def end_badly(
    state: Execution, error: Failure | None, left: list[str], took: dict[str, Any], at: str, actor: Actor
) -> list[NewEvent]:
    """The end of an execution that failed, came to its deadline or was cancelled; `left` is what was not undone."""
    facts: dict[str, Any] = {"outcome": "cancelled", **took}
    type_ = "execution.failed"
    if not state.cancel_requested:
        assert error is not None
        facts |= {"outcome": "failure", "error_type": error.error_type}
    else:
        why = f"cancelled by {'a person' if state.cancel_by == 'user' else 'the system'}"
        kind = "CancelledError"
        if state.cancel_cause == "deadline":
            kind, why = "DeadlinePassed", "it had not ended by its deadline, and was cancelled"
            facts |= {"outcome": "timeout", "error_type": kind}
        else:
            type_ = "execution.cancelled"
            facts["by"] = state.cancel_by
        if error is None or error.error_type == "CancelledError":
            error = Failure(kind, why)
    if left:
        facts["uncompensated"] = left[:NAMED]
    said: dict[str, Any] = {"error": {"type": error.error_type, **words(error)}}
    if len(left) > NAMED:
        said["uncompensated"] = left
    end = NewEvent(type_, facts, at, actor, payload=orjson.dumps(said))
    return [end, *_corrected(state, facts["outcome"], at, actor)]


def _corrected(state: Execution, outcome: str, at: str, actor: Actor) -> list[NewEvent]:
    """What an execution that was reopened says of its first end, which is the one that counts until it is corrected."""
    if state.first_end is None or state.first_end[1] == outcome:
        return []
    facts = {"supersedes": state.first_end[0], "outcome": outcome}
    return [NewEvent("execution.corrected", facts, at, actor)]
