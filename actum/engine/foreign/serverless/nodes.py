"""What a Serverless Workflow has running: lists of tasks inside tasks, and who is left behind when one ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actum.engine.foreign.names import path_of
from actum.engine.foreign.serverless.errors import TaskFailed

__all__ = ["ListRun", "Node", "TaskRun"]


class Node:
    """Part of a running workflow. What is below a node that is over is left behind."""

    def __init__(self, parent: Node | None) -> None:
        self.parent = parent
        self.over = False

    @property
    def left_behind(self) -> bool:
        node: Node | None = self
        while node is not None:
            if node.over:
                return True
            node = node.parent
        return False


class ListRun(Node):
    """One run through a list of tasks."""

    def __init__(
        self,
        tasks: list[Mapping[str, Any]],
        scope: str,
        variables: Mapping[str, Any],
        parent: TaskRun | None,
        done: Callable[[Any], None],
        failed: Callable[[TaskFailed], None],
    ) -> None:
        super().__init__(parent)
        self.names = [next(iter(item)) for item in tasks]
        self.tasks = [next(iter(item.values())) for item in tasks]
        self.scope = scope
        self.variables = variables
        self.owner = parent
        self.done = done
        self.failed = failed


class TaskRun(Node):
    """One visit of a task."""

    def __init__(self, run: ListRun, index: int, visit: int, raw: Any) -> None:
        super().__init__(run)
        self.list = run
        self.index = index
        self.visit = visit
        self.name = run.names[index]
        self.task: Mapping[str, Any] = run.tasks[index]
        self.raw = raw
        self.input = raw
        self.retries = 0
        self.timeout_s: float | None = None

    @property
    def path(self) -> str:
        """The task's name in the record, with the branch it runs in."""
        return path_of(self.list.scope, self.name)
