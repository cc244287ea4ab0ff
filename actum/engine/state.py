"""The state of one execution: a fold of its events, which needs none of the user's code and never refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Final, Literal, Protocol

import orjson

from actum.engine.calls import Failure, Outcome
from actum.events import Actor, RecordedEvent, to_us

__all__ = ["ENDED", "ApprovalState", "Execution", "StepState", "TimerState", "evolve", "fold"]

Status = Literal["running", "waiting", "compensating", "paused", "parked", "completed", "failed", "cancelled"]
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


class Event(Protocol):
    """What a fold sees of an event, recorded or about to be."""

    @property
    def type(self) -> str: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def at(self) -> str: ...
    @property
    def actor(self) -> Actor: ...
    @property
    def payload(self) -> bytes | None: ...


class StepState:
    """One step of the execution, and its compensation if it has one."""

    attempt = 0
    failures = 0
    status: Literal["started", "completed", "failed", "retry", "in_doubt", "skipped"] = "started"
    not_before_us = 0
    payload: bytes | None = None
    """The result once completed; the error once failed."""
    error = ""
    undo: Literal["", "started", "retry", "completed", "failed"] = ""
    undo_attempt = 0
    undo_failures = 0
    undo_not_before_us = 0

    def __init__(self, key: str, facts: dict[str, Any]) -> None:
        self.key = key
        self.step: str = facts["step"]
        self.occurrence: int = facts["occurrence"]
        self.scope: str = facts.get("scope", "")
        self.tool: str | None = facts.get("tool")
        self.compensation: str | None = facts.get("compensation")


class ApprovalState:
    """One question put to people."""

    __slots__ = ("by", "comment", "deadline_us", "key", "requested_us", "severity", "shown", "status", "version")

    def __init__(self, key: str, version: int, event: Event) -> None:
        facts = event.facts
        self.key = key
        self.version = version
        self.status: Literal["waiting", "granted", "rejected", "expired"] = "waiting"
        self.severity: str = facts.get("severity", "medium")
        self.requested_us = to_us(event.at)
        self.deadline_us = to_us(facts["deadline"]) if "deadline" in facts else None
        payload = event.head.get("payload") if isinstance(event, RecordedEvent) else None
        self.shown: str | None = None if payload is None else payload["digest"]
        """Payload digest of the request; None while the request itself is not recorded yet, or showed nothing."""
        self.by = ""
        self.comment = ""


class TimerState:
    __slots__ = ("due_us", "fired", "key")

    def __init__(self, key: str, due_us: int) -> None:
        self.key = key
        self.due_us = due_us
        self.fired = False


class Execution:
    """One execution as of some event. `evolve` changes it in place and hands it back: keep only what it returns."""

    __slots__ = (
        "active",
        "active_us",
        "approvals",
        "busy",
        "busy_since_us",
        "cancel_requested",
        "definition",
        "end_payload",
        "ended_at",
        "error_type",
        "id",
        "input",
        "key",
        "kind",
        "owner",
        "paused",
        "settled",
        "started_at",
        "status",
        "steps",
        "taken",
        "timers",
        "uncompensated",
        "undo_stack",
        "undoing",
        "version",
        "waiting",
        "workflow",
    )

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.version = 0
        self.workflow = ""
        self.kind = ""
        self.definition: str | None = None
        self.input: bytes | None = None
        self.key: str | None = None
        """The data key of the person that it is about."""
        self.status: Status = "running"
        self.owner = ""
        self.started_at = ""
        self.ended_at: str | None = None
        self.end_payload: bytes | None = None
        """`{"output": …}` or `{"error": …}`."""
        self.error_type: str | None = None
        self.paused = False
        self.cancel_requested = False
        self.steps: dict[str, StepState] = {}
        self.active: dict[str, StepState] = {}
        """Steps that are neither finished nor given up."""
        self.approvals: dict[str, ApprovalState] = {}
        self.timers: dict[str, TimerState] = {}
        self.waiting: dict[str, ApprovalState | TimerState] = {}
        """Approvals and timers that are still open."""
        self.settled: list[str] = []
        """Keys of everything that has ended, in the order of the log: what a planner is told, in this order."""
        self.taken: set[tuple[str, int, str]] = set()
        """Transitions taken: source, its occurrence, target."""
        self.undo_stack: list[str] = []
        """Completed steps that have a compensation, in order of completion."""
        self.undoing: str | None = None
        self.uncompensated: list[str] = []
        self.busy = 0
        self.busy_since_us = 0
        self.active_us = 0
        """Microseconds in which at least one attempt was running."""

    @property
    def stream(self) -> str:
        return f"execution/{self.id}"

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def outcome(self, key: str) -> Outcome:
        """How a settled call ended. The payload of an erased result reads as None."""
        step = self.steps.get(key)
        if step is not None:
            if step.status == "completed":
                return Outcome("completed", None if step.payload is None else orjson.loads(step.payload))
            said = {} if step.payload is None else orjson.loads(step.payload)
            failure = Failure(step.error, said.get("message", ""), said.get("traceback", ""))
            return Outcome("failed", None, failure)
        approval = self.approvals.get(key)
        if approval is not None:
            kind: Any = approval.status
            return Outcome(kind, by=approval.by, comment=approval.comment)
        return Outcome("fired")


def fold(id_: str, events: list[RecordedEvent]) -> Execution:
    """The state after these events, which are a stream from its beginning."""
    return reduce(evolve, events, Execution(id_))


def evolve(state: Execution, event: Event) -> Execution:
    """The state one event later. What is recorded has happened: nothing is refused, unknown things change nothing."""
    handler = _HANDLERS.get(event.type)
    if handler is not None:
        handler(state, event)
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
    if event.actor.kind == "worker":
        state.owner = event.actor.ref


def _upgraded(state: Execution, event: Event) -> None:
    state.definition = event.facts["after"]


def _claimed(state: Execution, event: Event) -> None:
    state.owner = event.facts["worker"]
    if state.status == "parked":
        _go_on(state)
    state.busy = 0  # whatever ran, ran in a process that is gone


def _go_on(state: Execution) -> None:
    state.status = "running" if state.undoing is None else "compensating"


def _paused(state: Execution, event: Event) -> None:
    if not state.ended:
        state.paused = True
        state.status = "paused"


def _resumed(state: Execution, event: Event) -> None:
    if state.status == "paused":
        _go_on(state)
    state.paused = False


def _parked(state: Execution, event: Event) -> None:
    if not state.ended:
        state.status = "parked"


def _cancel_requested(state: Execution, event: Event) -> None:
    state.cancel_requested = True


def _ended(status: Status) -> Callable[[Execution, Event], None]:
    def handler(state: Execution, event: Event) -> None:
        if state.ended:  # the first end counts
            return
        state.status = status
        state.ended_at = event.at
        state.end_payload = event.payload
        state.error_type = event.facts.get("error_type")
        state.waiting.clear()
        state.active.clear()

    return handler


def _step_started(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
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
    step.status = "completed"
    step.payload = event.payload
    state.active.pop(key, None)
    state.settled.append(key)
    if step.compensation is not None:
        state.undo_stack.append(key)


def _step_failed(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps.get(key)
    if step is None:
        step = state.steps[key] = StepState(key, facts)
    else:
        _end_work(state, event.at)
    step.failures += 1
    if facts.get("final"):
        step.status = "failed"
        step.error = facts.get("error_type", "TimeoutError")
        step.payload = event.payload
        state.active.pop(key, None)
        state.settled.append(key)
    else:
        step.status = "retry"


def _retry_scheduled(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.active.get(_key(facts, "step"))
    if step is not None:
        step.status = "retry"
        step.not_before_us = to_us(facts["not_before"])


def _in_doubt(state: Execution, event: Event) -> None:
    step = state.active.get(_key(event.facts, "step"))
    if step is not None:
        step.status = "in_doubt"


def _skipped(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "step")
    step = state.steps[key] = StepState(key, facts)
    step.status = "skipped"


def _transition_taken(state: Execution, event: Event) -> None:
    facts = event.facts
    state.taken.add((facts["source"], facts["source_occurrence"], facts["target"]))


def _compensation_started(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.steps.get(_key(facts, "step"))
    if step is None or state.ended:
        return
    step.undo = "started"
    step.undo_attempt = facts.get("attempt", 1)
    if state.status != "compensating":  # steps that waited for another attempt are given up
        state.active = {key: other for key, other in state.active.items() if other.status != "retry"}
        state.status = "compensating"
    state.undoing = step.key
    _begin_work(state, event.at)


def _compensation_completed(state: Execution, event: Event) -> None:
    step = state.steps.get(_key(event.facts, "step"))
    if step is None:
        return
    if step.undo == "started":
        _end_work(state, event.at)
    step.undo = "completed"
    _forget_undo(state, step)


def _compensation_failed(state: Execution, event: Event) -> None:
    facts = event.facts
    step = state.steps.get(_key(facts, "step"))
    if step is None:
        return
    if step.undo == "started":
        _end_work(state, event.at)
    step.undo_failures += 1
    if facts.get("final") or "not_before" not in facts:
        step.undo = "failed"
        state.uncompensated.append(step.key)
        _forget_undo(state, step)
    else:
        step.undo = "retry"
        step.undo_not_before_us = to_us(facts["not_before"])


def _forget_undo(state: Execution, step: StepState) -> None:
    if state.undoing == step.key:
        state.undoing = None
    if state.undo_stack and state.undo_stack[-1] == step.key:  # they are undone from the end
        state.undo_stack.pop()
    elif step.key in state.undo_stack:
        state.undo_stack.remove(step.key)


def _timer_set(state: Execution, event: Event) -> None:
    facts = event.facts
    key = _key(facts, "timer")
    state.timers[key] = state.waiting[key] = TimerState(key, to_us(facts["due"]))


def _timer_fired(state: Execution, event: Event) -> None:
    key = _key(event.facts, "timer")
    timer = state.timers.get(key)
    if timer is None or timer.fired:
        return
    timer.fired = True
    state.waiting.pop(key, None)
    state.settled.append(key)


def _approval_requested(state: Execution, event: Event) -> None:
    key = _key(event.facts, "approval")
    state.approvals[key] = state.waiting[key] = ApprovalState(key, state.version, event)


def _approval_decided(status: Literal["granted", "rejected", "expired"]) -> Callable[[Execution, Event], None]:
    def handler(state: Execution, event: Event) -> None:
        key = _key(event.facts, "approval")
        approval = state.approvals.get(key)
        if approval is None or approval.status != "waiting":  # the first decision counts
            return
        approval.status = status
        approval.by = "the deadline" if status == "expired" else event.actor.ref
        said = None if event.payload is None else orjson.loads(event.payload)
        if isinstance(said, dict):
            approval.comment = said.get("comment") or ""
        state.waiting.pop(key, None)
        state.settled.append(key)

    return handler


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
    "step.started": _step_started,
    "step.completed": _step_completed,
    "step.failed": _step_failed,
    "step.timed_out": _step_failed,
    "step.retry_scheduled": _retry_scheduled,
    "step.in_doubt": _in_doubt,
    "step.skipped": _skipped,
    "transition.taken": _transition_taken,
    "compensation.started": _compensation_started,
    "compensation.completed": _compensation_completed,
    "compensation.failed": _compensation_failed,
    "timer.set": _timer_set,
    "timer.fired": _timer_fired,
    "approval.requested": _approval_requested,
    "approval.granted": _approval_decided("granted"),
    "approval.rejected": _approval_decided("rejected"),
    "approval.expired": _approval_decided("expired"),
}
