"""The states that run machines side by side: Parallel and Map. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from actum.engine.foreign.asl.errors import StateError
from actum.engine.foreign.asl.visits import Frame, Visit
from actum.engine.foreign.names import branch_scope

if TYPE_CHECKING:
    from actum.engine.foreign.asl.planner import StatesPlanner

__all__ = ["map_", "parallel"]


def parallel(planner: StatesPlanner, visit: Visit, data: Any) -> None:
    work = planner.parameters(visit, data)
    machines = visit.state["Branches"]
    _together(planner, visit, [(machine, work, None) for machine in machines], len(machines))


def map_(planner: StatesPlanner, visit: Visit, data: Any) -> None:
    state = visit.state
    items = planner.value(visit, state.get("ItemsPath", "$"), data, "States.Runtime")
    if not isinstance(items, list):
        raise StateError("States.Runtime", f"state {visit.name!r}: the items are not a list")
    limit = state.get("MaxConcurrency", 0)
    if "MaxConcurrencyPath" in state:
        limit = planner.value(visit, state["MaxConcurrencyPath"], data, "States.Runtime")
        if type(limit) is not int or limit < 0:
            raise StateError("States.Runtime", f"state {visit.name!r}: MaxConcurrency is {limit!r}")
    template = state.get("ItemSelector", state.get("Parameters"))
    machine = state.get("ItemProcessor") or state["Iterator"]
    runs: list[tuple[Mapping[str, Any], Any, dict[str, Any] | None]] = []
    for index, value in enumerate(items):
        item = {"Index": index, "Value": value}
        work = value
        if template is not None:
            work = planner.rendered(visit, template, data, "States.ParameterPathFailure", item)
        runs.append((machine, work, item))
    _together(planner, visit, runs, limit or len(runs))


def _together(
    planner: StatesPlanner, visit: Visit, runs: list[tuple[Mapping[str, Any], Any, dict[str, Any] | None]], limit: int
) -> None:
    """Run the machines side by side, at most so many; the state's result is the list of theirs."""
    number = visit.frame.number(f"~{visit.name}~together")
    results: list[Any] = [None] * len(runs)
    frames: list[Frame] = []
    left = len(runs)
    if not runs:
        planner.finish(visit, results)
        return

    def ended(index: int, value: Any) -> None:
        nonlocal left
        results[index] = value
        left -= 1
        if left == 0:
            planner.soon(visit.frame, planner.caught(visit, lambda: planner.finish(visit, results)))
        elif len(frames) < len(runs):
            start()

    def failed(error: StateError) -> None:
        for frame in frames:
            frame.over = True
        also = (*error.also, "States.BranchFailed") if visit.state["Type"] == "Parallel" else error.also
        again = StateError(error.error, error.cause, also, error.traceback)
        planner.soon(visit.frame, lambda: planner.state_failed(visit, again))

    def start() -> None:
        index = len(frames)
        machine, work, item = runs[index]
        scope = branch_scope(visit.frame.scope, visit.name, number, index)
        frame = Frame(machine, scope, lambda value: ended(index, value), failed, visit.frame, item)
        frames.append(frame)
        planner.go(frame, machine["StartAt"], work)

    for _ in range(min(limit, len(runs))):
        start()
