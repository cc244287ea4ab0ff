"""Steps tried again and steps undone: which operations are open, and how each of them closed."""

from __future__ import annotations

from typing import Any, Final

from actum.events import RecordedEvent, to_us
from actum.metrics.catalog import NO_VALUE
from actum.metrics.execution import Execution, Operation, OperationKey
from actum.metrics.tally import Tally

__all__ = ["OPERATIONS", "close_left_open"]


def _key(facts: dict[str, Any]) -> OperationKey:
    return facts["step"], facts.get("occurrence", 0), facts.get("scope")


def _operation(run: Execution, facts: dict[str, Any]) -> Operation:
    """The open operation of this step, which is opened if it was quiet until now."""
    if run.operations is None:
        run.operations = {}
    key = _key(facts)
    found = run.operations.get(key)
    if found is None:
        found = run.operations[key] = Operation(facts.get("tool", NO_VALUE))
    return found


def _tried_again(run: Execution, facts: dict[str, Any], attempt: int, position: int) -> Operation:
    operation = _operation(run, facts)
    if attempt > operation.attempts:
        run.retries += attempt - operation.attempts
        operation.attempts = attempt
        operation.retried = operation.retried or operation.failed
    operation.positions.append(position)
    return operation


def _scheduled(run: Execution, event: RecordedEvent, at: str, _inside: bool, _tally: Tally) -> None:
    facts = event.facts
    named = [*facts.get("needs", ()), *([facts["breaker"]] if "breaker" in facts else ())]
    if run.scheduled is None:
        run.scheduled = {}
    run.scheduled[_key(facts)] = (at, tuple(named))


def _started(run: Execution, event: RecordedEvent, at: str, inside: bool, tally: Tally) -> None:
    attempt = event.facts.get("attempt", 1)
    if attempt > 1:
        _tried_again(run, event.facts, attempt, event.position)
    if run.scheduled:
        waited = run.scheduled.pop(_key(event.facts), None)
        if waited is not None and inside:
            since, named = waited
            for resource in named:
                tally.waited(resource, to_us(at) - to_us(since))
            tally.note("resource_wait", event.position)


def _retry_scheduled(run: Execution, event: RecordedEvent, _at: str, _inside: bool, _tally: Tally) -> None:
    _tried_again(run, event.facts, max(2, event.facts.get("attempt", 2)), event.position)


def _completed(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    facts = event.facts
    run.completed_steps += 1
    attempt = facts.get("attempt", 1)
    if attempt > 1:
        _tried_again(run, facts, attempt, event.position)
    if inside:
        tally.steps[facts["step"]] += 1
        if attempt > 1:
            tally.attempts[facts.get("tool", NO_VALUE), True] += 1
        if "tool" in facts:
            tally.tool_attempt(facts["tool"], "success", facts.get("duration_us"), event.position)
    if run.operations:
        operation = run.operations.pop(_key(facts), None)
        if operation is not None and operation.retried and inside:
            _count(tally, operation, True, event.position)


def _attempt_failed(
    run: Execution, event: RecordedEvent, inside: bool, tally: Tally, error_type: str, outcome: str, us: int | None
) -> None:
    facts = event.facts
    attempt = facts.get("attempt", 1)
    operation = _tried_again(run, facts, attempt, event.position)
    if not operation.failed:
        operation.failed = True
        operation.error_type = error_type
    operation.inside = inside
    if inside:
        if attempt > 1:
            tally.attempts[operation.tool, False] += 1
        if "tool" in facts:
            tally.tool_attempt(facts["tool"], outcome, us, event.position)
    if facts.get("final", False):
        assert run.operations is not None
        del run.operations[_key(facts)]
        if operation.retried and inside:
            _count(tally, operation, False, event.position)


def _failed(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    facts = event.facts
    error_type = facts.get("error_type", NO_VALUE)
    _attempt_failed(run, event, inside, tally, error_type, "failure", facts.get("duration_us"))


def _timed_out(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    facts = event.facts
    # At least its limit, however long it would have taken: a censored duration, and not an unknown one.
    took = facts.get("duration_us", facts.get("timeout_us"))
    _attempt_failed(run, event, inside, tally, "timeout", "timeout", took)


def _count(tally: Tally, operation: Operation, completed: bool, position: int | None) -> None:
    tally.sequences[operation.tool, operation.error_type, completed] += 1
    if tally.behind:
        tally.note("retry_success_rate", *operation.positions, *(() if position is None else (position,)))


def _undo_started(run: Execution, event: RecordedEvent, _at: str, inside: bool, _tally: Tally) -> None:
    run.compensated = True
    if run.undoing is None:
        run.undoing = {}
    run.undoing[_key(event.facts)] = (inside, event.position)


def _undone(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    run.compensated = True
    run.compensated_steps += 1
    if run.undoing:
        run.undoing.pop(_key(event.facts), None)
    if inside:
        tally.compensations["success"] += 1
        tally.note("compensation_success_rate", event.position)


def _undo_failed(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    key = _key(event.facts)
    if not event.facts.get("final", False):
        if run.undoing and key in run.undoing:
            run.undoing[key] = (inside, event.position)
        return
    if run.undoing:
        run.undoing.pop(key, None)
    if inside:
        tally.compensations["failure"] += 1
        tally.note("compensation_success_rate", event.position)


def close_left_open(run: Execution, tally: Tally) -> None:
    """Count what an ended execution left open: it did not end well, at the time of its last event."""
    for operation in (run.operations or {}).values():
        if operation.retried and operation.inside:
            _count(tally, operation, False, None)
    for inside, position in (run.undoing or {}).values():
        if inside:
            tally.compensations["failure"] += 1
            tally.note("compensation_success_rate", position)


OPERATIONS: Final = {
    "step.scheduled": _scheduled,
    "step.started": _started,
    "step.retry_scheduled": _retry_scheduled,
    "step.completed": _completed,
    "step.failed": _failed,
    "step.timed_out": _timed_out,
    "compensation.started": _undo_started,
    "compensation.completed": _undone,
    "compensation.failed": _undo_failed,
}
