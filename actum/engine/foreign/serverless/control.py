"""The tasks that only decide what comes next: set, do, switch, wait, raise, for, fork. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from actum.engine.foreign.names import branch_scope, recorded_name
from actum.engine.foreign.serverless.errors import TaskFailed, error_of
from actum.engine.foreign.serverless.expressions import holds
from actum.engine.foreign.serverless.nodes import TaskRun

if TYPE_CHECKING:
    from actum.engine.foreign.serverless.planner import ServerlessPlanner

__all__ = ["do", "for_", "fork", "raise_", "set_", "switch", "wait"]


def set_(planner: ServerlessPlanner, task: TaskRun) -> None:
    given = task.task["set"]
    made = planner.value(task, given, task.input, "set") if isinstance(given, str) else planner.resolved(task, given)
    planner.complete(task, made)


def do(planner: ServerlessPlanner, task: TaskRun) -> None:
    planner.inside(task, task.task["do"], task.input, lambda output: planner.complete(task, output))


def switch(planner: ServerlessPlanner, task: TaskRun) -> None:
    for item in task.task["switch"]:
        ((name, case),) = item.items()
        if "when" not in case or holds(planner.value(task, case["when"], task.input, f"switch/{name}/when")):
            planner.complete(task, task.input, case["then"], case.get("when", name))
            return
    planner.complete(task, task.input)


def wait(planner: ServerlessPlanner, task: TaskRun) -> None:
    length = planner.duration(task.task["wait"], task.input, planner.variables(task), f"{task.path}/wait")
    then = lambda outcome: planner.complete(task, task.input)  # noqa: E731
    planner.sleep(task, task.list.scope, recorded_name(task.name), length, then)


def raise_(planner: ServerlessPlanner, task: TaskRun) -> None:
    error = task.task["raise"]["error"]
    if isinstance(error, str):
        error = planner.use["errors"][error]
    raise TaskFailed({"instance": task.path, **planner.resolved(task, error)})


def for_(planner: ServerlessPlanner, task: TaskRun) -> None:
    given = task.task["for"]
    items = planner.value(task, given["in"], task.input, "for/in")
    if not isinstance(items, list):
        raise error_of("expression", f"{given['in']!r} gives no list", f"{task.path}/for/in")

    def next_item(index: int, data: Any) -> None:
        if index >= len(items):
            planner.complete(task, data)
            return
        own = {given.get("each", "item"): items[index], given.get("at", "index"): index}
        if "while" in task.task and not holds(planner.value(task, task.task["while"], data, "while", own)):
            planner.complete(task, data)
            return
        planner.inside(task, task.task["do"], data, lambda output: next_item(index + 1, output), own=own)

    next_item(0, task.input)


def fork(planner: ServerlessPlanner, task: TaskRun) -> None:
    fork = task.task["fork"]
    branches: list[Mapping[str, Any]] = fork["branches"]
    outputs: list[Any] = [None] * len(branches)
    left = len(branches)

    def ended(index: int, output: Any) -> None:
        nonlocal left
        outputs[index] = output
        left -= 1
        if fork.get("compete", False):
            planner.complete(task, output)
        elif left == 0:
            planner.complete(task, outputs)

    for index, branch in enumerate(branches):
        scope = branch_scope(task.list.scope, task.name, task.visit, index)
        done = lambda output, index=index: ended(index, output)  # noqa: E731
        planner.inside(task, [branch], task.input, done, scope=scope)
