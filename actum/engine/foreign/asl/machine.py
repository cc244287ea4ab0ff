"""A state machine of the Amazon States Language, checked and bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from actum.engine.foreign.asl.lint import lint, unmapped
from actum.engine.foreign.code import Foreign
from actum.engine.foreign.tasks import Bindings, Bound
from actum.engine.graphs.place import Place
from actum.engine.rules.calls import Planner

__all__ = ["StateMachine", "state_machine"]

_LAMBDA = "arn:aws:states:::lambda:invoke"


class StateMachine(Foreign):
    """A state machine. A task's function is looked for under the state's name, then under the name of the Lambda
    function it invokes, then under its `Resource`."""

    kind: ClassVar[Literal["asl", "serverless"]] = "asl"

    @cached_property
    def tasks_by_state(self) -> Mapping[str, tuple[Bound, bool]]:
        """The function of each Task state, and whether it stands for a Lambda function behind `lambda:invoke`."""
        found: dict[str, tuple[Bound, bool]] = {}
        for name, state, _ in _task_states(self.definition, self.place):
            for key, invoked in _keys(name, state):
                if key in self.bound:
                    found[name] = self.bound[key], invoked
                    break
        return found

    def task_names(self) -> set[str]:
        return {key for name, state, _ in _task_states(self.definition, self.place) for key, _ in _keys(name, state)}

    def unbound(self) -> dict[str, str]:
        missing: dict[str, str] = {}
        for name, state, place in _task_states(self.definition, self.place):
            keys = [key for key, _ in _keys(name, state)]
            if not any(key in self.tasks for key in keys):
                missing[place.path] = " or ".join(repr(key) for key in reversed(keys))
        return missing

    def planner(self, execution: str) -> Planner:
        from actum.engine.foreign.asl.planner import StatesPlanner

        return StatesPlanner(self, execution)


def state_machine(raw: Mapping[str, Any], name: str, tasks: Bindings, base: Path | None, source: str) -> StateMachine:
    """The machine. Raises `DefinitionError` for the first thing that is wrong with it, or does not exist here."""
    problems = lint(raw, source) or unmapped(raw, source)
    if problems:
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Place(source, problems[0].path).error(problems[0].text + more)
    machine = StateMachine(name, raw, tasks, base, source)
    machine.check_bindings()
    return machine


def _task_states(machine: Mapping[str, Any], place: Place) -> Iterator[tuple[str, Mapping[str, Any], Place]]:
    for name, state in machine["States"].items():
        here = place / "States" / name
        if state["Type"] == "Task":
            yield name, state, here
        for index, branch in enumerate(state.get("Branches", ())):
            yield from _task_states(branch, here / "Branches" / index)
        for field in ("Iterator", "ItemProcessor"):
            if field in state:
                yield from _task_states(state[field], here / field)


def _keys(name: str, state: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Under which names a function may be bound to the task, the nearest first; true for an invoked Lambda function."""
    keys = [(name, False)]
    parameters = state.get("Parameters")
    if state["Resource"].startswith(_LAMBDA) and isinstance(parameters, dict):
        function = parameters.get("FunctionName")
        if isinstance(function, str):
            keys.append((function, True))
    return [*keys, (state["Resource"], False)]
