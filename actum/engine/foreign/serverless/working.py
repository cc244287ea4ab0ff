"""The tasks that are work of the user's code: call, run, emit. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from actum.engine.foreign.names import recorded_name
from actum.engine.foreign.serverless.errors import failure_of
from actum.engine.foreign.serverless.expressions import expression_in
from actum.engine.foreign.serverless.nodes import TaskRun
from actum.engine.foreign.serverless.tasks import endpoint_of
from actum.engine.rules.calls import Call, Outcome, StepSpec

if TYPE_CHECKING:
    from actum.engine.foreign.serverless.planner import ServerlessPlanner

__all__ = ["call", "emit", "run"]


def call(planner: ServerlessPlanner, task: TaskRun) -> None:
    call = task.task["call"]
    bound = planner.code.bound_to(task.name, task.task)
    given = task.task.get("with", {})
    function = planner.use.get("functions", {}).get(call)
    if bound is None and function is not None:
        arguments = planner.resolved(task, given)
        planner.inside(task, [{call: function}], arguments, lambda output: planner.complete(task, output))
        return
    assert bound is not None
    work = planner.resolved(task, _with_policies(planner, given))
    if call == "http":
        work = _expanded(work, given, task.input)
    spec = bound.spec(recorded_name(task.name), timeout_s=task.timeout_s)
    _ask(planner, task, spec, work, lambda value: planner.complete(task, value))


def run(planner: ServerlessPlanner, task: TaskRun) -> None:
    run = task.task["run"]
    kind = next(kind for kind in run if kind in ("container", "script", "shell", "workflow"))
    bound = planner.code.bound_to(task.name, task.task)
    assert bound is not None
    work = planner.resolved(task, run[kind])
    if kind == "workflow":
        work = work.get("input", {})
    spec = bound.spec(recorded_name(task.name), timeout_s=task.timeout_s)
    wanted = run.get("return", "stdout") if kind != "workflow" else "all"
    _ask(planner, task, spec, work, lambda value: planner.complete(task, _returned(value, wanted)))


def emit(planner: ServerlessPlanner, task: TaskRun) -> None:
    event = planner.resolved(task, task.task["emit"]["event"]["with"])
    event = {"specversion": "1.0", "id": str(UUID(bytes=planner.draw(), version=4)), **event}
    bound = planner.code.bound_to(task.name, task.task)
    name = recorded_name(task.name)
    spec = StepSpec(name, _recorded) if bound is None else bound.spec(name, timeout_s=task.timeout_s)
    _ask(planner, task, spec, event, lambda value: planner.complete(task, event))


def _ask(planner: ServerlessPlanner, task: TaskRun, spec: StepSpec, work: Any, then: Callable[[Any], None]) -> None:
    call = Call(spec, planner.number(task.list.scope, spec.name), task.list.scope, (work,))
    planner.wishes.append(call)

    def answered(outcome: Outcome) -> None:
        if outcome.failure is not None:
            planner.task_failed(task, failure_of(outcome.failure, task.path))
        else:
            planner.guarded(task, lambda: then(outcome.value))()

    planner.waiting[call.key] = task, answered


def _with_policies(planner: ServerlessPlanner, given: Any) -> Any:
    """The arguments, with the authentication policies they refer to by name in place."""
    if isinstance(given, dict):
        made = {key: _with_policies(planner, value) for key, value in given.items()}
        policy = made.get("authentication")
        if isinstance(policy, dict) and policy.keys() == {"use"}:
            made["authentication"] = planner.use.get("authentications", {}).get(policy["use"], policy)
        return made
    return [_with_policies(planner, item) for item in given] if isinstance(given, list) else given


def _recorded(event: Any) -> None:
    """An event that no function is bound to is emitted by being recorded."""


_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def _expanded(work: dict[str, Any], given: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """The arguments of an HTTP call with `{name}` in its address filled in from the task's input, where that has it."""
    if not isinstance(data, dict) or expression_in(str(endpoint_of(given))) is not None:
        return work

    def filled(found: re.Match[str]) -> str:
        value = data.get(found[1])
        return str(value) if isinstance(value, (str, int)) else found[0]

    endpoint = work["endpoint"]
    if isinstance(endpoint, str):
        return {**work, "endpoint": _PARAMETER.sub(filled, endpoint)}
    return {**work, "endpoint": {**endpoint, "uri": _PARAMETER.sub(filled, str(endpoint.get("uri", "")))}}


def _returned(value: Any, wanted: str) -> Any:
    """What `return` picks out of a process's result. A function that returns something else than such a result, an
    object with `code`, `stdout` and `stderr`, has said its standard output."""
    process = value if isinstance(value, dict) and value.keys() & {"code", "stdout", "stderr"} else None
    match wanted:
        case "none":
            return None
        case "all":
            return value
        case "stdout":
            return value if process is None else process.get("stdout")
        case "code":
            return 0 if process is None else process.get("code", 0)
        case _:
            return None if process is None else process.get(wanted)
