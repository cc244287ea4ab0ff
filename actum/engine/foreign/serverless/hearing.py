"""The `listen` task: it takes the events that it waits for, and does for each what `foreach` says. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actum.engine.foreign.serverless.errors import error_of
from actum.engine.foreign.serverless.expressions import ExpressionFailed
from actum.engine.foreign.serverless.listening import Listening, signals_of
from actum.engine.foreign.serverless.nodes import TaskRun
from actum.engine.rules.calls import Wait

if TYPE_CHECKING:
    from actum.engine.foreign.serverless.planner import ServerlessPlanner

__all__ = ["listen"]


def listen(planner: ServerlessPlanner, task: TaskRun) -> None:
    listen, each = task.task["listen"], task.task.get("foreach")
    for name in signals_of(listen["to"]):
        planner.wishes.append(Wait(name, planner.number(task.list.scope, name), task.list.scope))
    listening = Listening(listen, planner.variables(task))
    outputs: list[Any] = []
    working = False

    def work() -> None:
        """Do what `foreach` says for one event after the other; then see whether that was all."""
        nonlocal working
        if working:
            return
        if each is None or len(outputs) == len(listening.heard):
            if listening.enough:
                planner.complete(task, listening.heard if each is None else outputs)
            return
        working = True
        event, at = listening.heard[len(outputs)], len(outputs)
        own = {each.get("item", "item"): event, each.get("at", "index"): at}

        def done(output: Any) -> None:
            nonlocal working
            working = False
            outputs.append(planner.put_out(task, each, output, own))
            work()

        if "do" in each:
            planner.inside(task, each["do"], event, done, own=own)
        else:
            done(event)

    def take(event: dict[str, Any]) -> bool:
        if listening.enough:
            return False
        try:
            taken = listening.take(event)
        except ExpressionFailed as exc:
            error = error_of("expression", str(exc), f"{task.path}/listen/to/until")
            planner.soon(task, lambda: planner.task_failed(task, error))
            return True
        if taken:
            planner.soon(task, planner.guarded(task, work))
        return taken

    planner.listening.append((task, take))
    planner.give_out()
