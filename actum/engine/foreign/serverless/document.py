"""A Serverless Workflow 1.0, checked and bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from actum.engine.foreign.code import Foreign
from actum.engine.foreign.serverless.check import check
from actum.engine.foreign.serverless.tasks import binding_keys, inner_lists, needs_binding
from actum.engine.foreign.tasks import Bindings, Bound
from actum.engine.graphs.place import Place
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import Planner
from actum.errors import BadInput

__all__ = ["ServerlessWorkflow", "serverless_workflow"]


class ServerlessWorkflow(Foreign):
    """A workflow. A task's function is looked for under the task's name, then under what it calls (an endpoint, an
    operation, an image, a function), then under the kind of call: `http`, `container` and so on."""

    kind: ClassVar[Literal["asl", "serverless"]] = "serverless"

    def bound_to(self, name: str, task: Mapping[str, Any]) -> Bound | None:
        """The function of this task, if it has one."""
        return next((self.bound[key] for key in binding_keys(name, task) if key in self.bound), None)

    def task_names(self) -> set[str]:
        names = {key for name, task, _ in _tasks(self.definition["do"], self.place) for key in binding_keys(name, task)}
        for name, function in self.definition.get("use", {}).get("functions", {}).items():
            names |= set(binding_keys(name, function))
        return names

    def unbound(self) -> dict[str, str]:
        missing: dict[str, str] = {}
        functions = self.definition.get("use", {}).get("functions", {})
        for name, task, place in _tasks(self.definition["do"], self.place / "do"):
            keys = binding_keys(name, task)
            if not needs_binding(task) or any(key in self.tasks for key in keys):
                continue
            inner = functions.get(task.get("call"))
            if inner is not None and any(key in self.tasks for key in binding_keys(task["call"], inner)):
                continue
            missing[place.path] = " or ".join(repr(key) for key in reversed(keys))
        return missing

    def notes(self) -> list[str]:
        how = ", ".join(self.definition.get("schedule", ()))
        return (
            [f"$.schedule: ({how}) nothing starts it here; start it yourself, an event as input [event]"] if how else []
        )

    def prepare(self, workflow_input: Any) -> Any:
        given = super().prepare(workflow_input)
        schema = self.definition.get("input", {}).get("schema", {}).get("document")
        wrong = None if schema is None else mismatch(schema, given, "the input")
        if wrong:
            raise BadInput(f"workflow {self.name!r}: {wrong}")
        return given

    def planner(self, execution: str) -> Planner:
        from actum.engine.foreign.serverless.planner import ServerlessPlanner

        return ServerlessPlanner(self, execution)


def serverless_workflow(
    raw: Mapping[str, Any], name: str | None, tasks: Bindings, base: Path | None, source: str
) -> ServerlessWorkflow:
    """The workflow. Raises `DefinitionError` for the first thing that is wrong with it, or does not exist here."""
    problems = check(raw, source)
    if problems:
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Place(source, problems[0].path).error(problems[0].text + more)
    found = ServerlessWorkflow(name or raw["document"]["name"], raw, tasks, base, source)
    found.check_bindings()
    return found


def _tasks(tasks: list[Any], place: Place) -> Iterator[tuple[str, Mapping[str, Any], Place]]:
    for index, item in enumerate(tasks):
        ((name, task),) = item.items()
        here = place / index / name
        yield name, task, here
        for inner, where, _ in inner_lists(task, here):
            yield from _tasks(inner, where)
