"""Every rule of an execution: a command and the state in, the events that follow out. Pure; changes nothing.

`evolve` (in `folding.py`) is the other half. The runtime folds what is returned here, and asks again with
`Proceed` until nothing follows, so each rule may look only at the state it is given.
"""

from __future__ import annotations

from typing import Any, assert_never

import orjson

from actum.engine.rules.attempts import (
    begin_step,
    cancel_step,
    record_cancelled,
    record_failure,
    record_success,
    refuse_step,
    start_step,
    step_facts,
    words,
)
from actum.engine.rules.calls import Failure
from actum.engine.rules.commands import (
    Admit,
    Begin,
    Cancel,
    Claim,
    Command,
    DecideApproval,
    GiveInput,
    Grant,
    Park,
    ParkDiverged,
    ParkErased,
    Pause,
    Preempt,
    Proceed,
    Queue,
    RecordCancelled,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RecordUndoFailure,
    Refuse,
    RefuseHold,
    Release,
    RetryByHand,
    RunAgain,
    SendSignal,
    SkipByHand,
    Tick,
    Unpause,
    UpgradeCode,
)
from actum.engine.rules.control import cancel, pause, retry_by_hand, skip_by_hand, unpause
from actum.engine.rules.holding import admit, preempt, queue, refuse_hold
from actum.engine.rules.state import Execution, StepState, is_recovery
from actum.engine.rules.undoing import record_undo, record_undo_failure, start_undo
from actum.engine.rules.waiting import decide_approval, give_input, send_signal, tick
from actum.engine.rules.wishes import proceed
from actum.events import Actor, NewEvent, to_text

__all__ = ["decide"]


def decide(state: Execution, command: Command, actor: Actor) -> list[NewEvent]:
    """The events that a command causes; none means there is nothing to do.

    Answers that come too late (for an attempt that is no longer the current one, or after the end) cause
    nothing. Only what people or programs ask from outside is refused, with `NotWaiting`, `ControlRefused` or
    `ExecutionEnded`, because they must hear of it.
    """
    match command:
        case RecordSuccess():
            return record_success(state, command, actor)
        case Proceed():
            return proceed(state, command, actor)
        case RecordFailure():
            return record_failure(state, command, actor)
        case RecordCancelled():
            return record_cancelled(state, command, actor)
        case Begin():
            return [] if state.version else [_begin(command, actor)]
        case Claim():
            return _claim(state, command, actor)
        case Release():
            if state.ended or state.status == "parked" or state.owner != command.worker:
                return []
            return [NewEvent("execution.released", {"worker": command.worker}, to_text(command.at), actor)]
        case UpgradeCode():
            if state.ended or state.definition == command.definition:
                return []
            facts = {"before": state.definition, "after": command.definition}
            return [NewEvent("code.upgraded", facts, to_text(command.at), actor)]
        case Grant():
            scheduled = _scheduled(state, command.key)
            if scheduled is None:
                return []
            return [begin_step(scheduled, scheduled.attempt + 1, to_text(command.at), actor)]
        case Refuse():
            scheduled = _scheduled(state, command.key)
            return [] if scheduled is None else refuse_step(state, scheduled, command, actor)
        case Queue():
            return queue(state, command, actor)
        case Admit():
            return admit(state, command, actor)
        case RefuseHold():
            return refuse_hold(state, command, actor)
        case Preempt():
            return preempt(state, command, actor)
        case RunAgain():
            step = state.active.get(command.key)
            if step is None or step.status != "in_doubt" or state.held_up:
                return []  # its hook is asked again once it has what it holds
            if step.cancelling:
                return [cancel_step(step, to_text(command.at), actor)]
            return [start_step(step, step.attempt + 1, to_text(command.at), actor)]
        case Park():
            step = state.active.get(command.key)
            if step is None or step.status != "in_doubt":
                return []
            return [_park(step, command.detail, to_text(command.at), actor)]
        case ParkErased():
            return [] if state.ended or state.status == "parked" else [_park_erased(command, actor)]
        case ParkDiverged():
            return [] if state.ended or state.status == "parked" else _park_diverged(command, actor)
        case SendSignal():
            return send_signal(state, command, actor)
        case RecordUndo():
            return record_undo(state, command, actor)
        case RecordUndoFailure():
            return record_undo_failure(state, command, actor)
        case Tick():
            return tick(state, command.at, actor)
        case DecideApproval():
            return [decide_approval(state, command)]
        case Pause():
            return pause(state, command, actor)
        case Unpause():
            return unpause(state, command, actor)
        case Cancel():
            return cancel(state, command, actor)
        case RetryByHand():
            return retry_by_hand(state, command, actor)
        case SkipByHand():
            return skip_by_hand(state, command, actor)
        case GiveInput():
            return [give_input(state, command, actor)]
        case _:
            assert_never(command)


def _scheduled(state: Execution, key: str) -> StepState | None:
    """The step, if it waits for what it needs and may begin."""
    step = state.active.get(key)
    if (
        step is None
        or step.status != "scheduled"
        or state.held_up
        or state.paused
        or state.ended
        or state.status == "parked"
    ):
        return None
    return step


# -- beginning and taking over ---------------------------------------------------------------------------------


def _begin(command: Begin, actor: Actor) -> NewEvent:
    facts: dict[str, Any] = {"workflow": command.workflow, "kind": command.kind, "definition": command.definition}
    for name in ("key", "parent", "parent_key", "previous", "first", "first_at"):
        said = getattr(command, name)
        if said is not None:
            facts[name] = said
    if command.deadline_us is not None:
        facts["deadline"] = to_text(command.deadline_us)
    if command.priority:
        facts["priority"] = command.priority
    if command.tags:
        facts["tags"] = list(command.tags)
    if command.attributes:
        facts["attributes"] = dict(command.attributes)
    if command.used:
        facts |= command.used
    return NewEvent("execution.started", facts, to_text(command.at), actor, payload=command.input, trace=command.trace)


def _claim(state: Execution, command: Claim, actor: Actor) -> list[NewEvent]:
    if state.ended or state.paused:
        return []
    at = to_text(command.at)
    reason = "resume" if state.owner in ("", command.worker) else "takeover"
    events = [NewEvent("execution.claimed", {"worker": command.worker, "reason": reason}, at, actor)]
    if _is_poison(state, command):
        return [*events, *_park_poison(state, at, actor)]
    parked: StepState | None = None
    again: list[StepState] = []
    for step in state.active.values():
        if step.status not in ("started", "in_doubt"):
            continue
        action = command.doubts.get(step.key, "retry")
        if step.cancelling and action == "retry":  # it would run only to be undone
            events.append(cancel_step(step, at, actor))
            continue
        if step.status == "started" or (state.hold is not None and action == "retry" and not step.again):
            facts = {**step_facts(step, step.attempt), "action": action}
            events.append(NewEvent("step.in_doubt", facts, at, actor))
        if action == "retry":
            again.append(step)
        elif action == "park":
            parked = step
    if parked is not None:  # then nothing starts: whoever looks finds the execution at rest
        return [*events, _park(parked, "its effect may have happened", at, actor)]
    if state.hold is not None:  # it has lost what it held: all that was under way begins again when it has it again
        return events
    events += [start_step(step, step.attempt + 1, at, actor) for step in again]
    for key in state.undoing:
        undone = state.steps[key]
        if undone.undo == "started":
            events.append(start_undo(undone, undone.undo_attempt + 1, at, actor))
    return events


def _park(step: StepState, detail: str, at: str, actor: Actor) -> NewEvent:
    facts = {"reason": "in_doubt", "step": step.step}
    spoken = orjson.dumps({"detail": words(Failure("", detail))["message"]})
    return NewEvent("execution.parked", facts, at, actor, payload=spoken)


def _is_poison(state: Execution, command: Claim) -> bool:
    limit = command.max_recoveries
    return limit is not None and state.status != "parked" and state.recoveries >= limit and is_recovery(state)


def _park_poison(state: Execution, at: str, actor: Actor) -> list[NewEvent]:
    """Leave to a person what took its worker down again and again, with what was running each time."""
    running = [step for step in state.active.values() if step.status == "started"]
    events = [
        NewEvent("step.in_doubt", {**step_facts(step, step.attempt), "action": "park"}, at, actor) for step in running
    ]
    facts: dict[str, Any] = {"reason": "poison"}
    suspects = [step.key for step in state.active.values() if step.status in ("started", "in_doubt")]
    names = [step.step for step in state.active.values() if step.status in ("started", "in_doubt")]
    if state.undoing:
        names, suspects = [state.steps[key].step for key in state.undoing], [f"{key}/undo" for key in state.undoing]
    if names:
        facts["step"] = names[0]
    what = f"while {', '.join(suspects)} ran" if suspects else "while the workflow's own code ran"
    detail = f"its worker died {state.recoveries + 1} times {what}, and nothing came to an end in between"
    spoken = orjson.dumps({"detail": words(Failure("", detail))["message"]})
    return [*events, NewEvent("execution.parked", facts, at, actor, payload=spoken)]


def _park_erased(command: ParkErased, actor: Actor) -> NewEvent:
    spoken = orjson.dumps({"detail": f"the payload of event {command.version} ({command.what}) was erased"})
    return NewEvent("execution.parked", {"reason": "erased"}, to_text(command.at), actor, payload=spoken)


_NAME = 256
"""Characters that a name has room for in facts."""


def _park_diverged(command: ParkDiverged, actor: Actor) -> list[NewEvent]:
    at = to_text(command.at)
    facts = {"recorded": command.recorded[:_NAME], "asked": command.asked[:_NAME]}
    if command.definition is not None:
        facts["definition"] = command.definition
    asks = f"the record has {command.recorded}, the code asks for {command.asked}"
    spoken = orjson.dumps({"detail": f"{asks} at {command.where}" if command.where else asks})
    where = orjson.dumps({"where": command.where}) if command.where else None
    return [
        NewEvent("replay.diverged", facts, at, actor, payload=where),
        NewEvent("execution.parked", {"reason": "diverged"}, at, actor, payload=spoken),
    ]
