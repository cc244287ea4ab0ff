"""The Task state: one step, whose result the engine brings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actum.engine.foreign.asl.errors import StateError, named, retry_of
from actum.engine.foreign.asl.visits import Visit
from actum.engine.foreign.names import recorded_name
from actum.engine.rules.calls import Call, Outcome

if TYPE_CHECKING:
    from actum.engine.foreign.asl.planner import StatesPlanner

__all__ = ["call", "task"]


def task(planner: StatesPlanner, visit: Visit, data: Any) -> None:
    visit.work = planner.parameters(visit, data)
    call(planner, visit, data)


def call(planner: StatesPlanner, visit: Visit, data: Any) -> None:
    frame, state = visit.frame, visit.state
    name = recorded_name(visit.name)
    retries = state.get("Retry", ())
    timeout_s = state.get("TimeoutSeconds")
    if "TimeoutSecondsPath" in state:
        timeout_s = planner.value(visit, state["TimeoutSecondsPath"], data, "States.Runtime")
        if type(timeout_s) is not int or not 0 < timeout_s < 1e9:
            raise StateError("States.Runtime", f"state {visit.name!r}: {timeout_s!r} is no time-out in seconds")
    bound, invoked = planner.machine.tasks_by_state[visit.name]
    spec = bound.spec(
        name,
        retry=retry_of(retries if len(retries) < 2 else ()),
        timeout_s=timeout_s,
        result=_as_invoked if invoked else None,
    )
    work = visit.work.get("Payload") if invoked and isinstance(visit.work, dict) else visit.work
    call = Call(spec, frame.number(name), frame.scope, (work,))
    planner.wishes.append(call)
    planner.waiting[call.key] = frame, lambda outcome: _called(planner, visit, outcome)


def _called(planner: StatesPlanner, visit: Visit, outcome: Outcome) -> None:
    if outcome.failure is not None:
        planner.state_failed(visit, named(outcome.failure), retried=len(visit.state.get("Retry", ())) == 1)
    else:
        planner.caught(visit, lambda: planner.finish(visit, outcome.value))()


def _as_invoked(value: Any) -> Any:
    """What `lambda:invoke` makes of what the function returned."""
    return {"Payload": value, "StatusCode": 200, "ExecutedVersion": "$LATEST"}
