"""Definitions in the log: what an execution runs is found again by name and digest, in another process too."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import CodeType
from typing import Any, Final

from actum.engine.foreign.code import Foreign
from actum.engine.foreign.load import load_published
from actum.engine.functions.planner import FunctionPlanner
from actum.engine.functions.step import Step
from actum.engine.functions.workflow import Workflow
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph
from actum.engine.graphs.planner import GraphPlanner
from actum.engine.publishing import Kind
from actum.engine.rules.calls import Planner, StepSpec
from actum.errors import BadInput, NoCode
from actum.eventstore import EventStore

__all__ = [
    "KINDS",
    "Code",
    "find_code",
    "import_target",
    "planner_for",
    "steps_of",
]

Code = Workflow | Graph | Foreign
KINDS: Final[tuple[Kind, ...]] = ("function", "graph", "asl", "serverless")
"""What runs here, as it is recorded."""


def steps_of(code: Code) -> list[StepSpec]:
    """The steps that are known before anything runs: a graph's, also of graphs within it, and those that a function
    names directly."""
    if isinstance(code, Graph):
        return list(code.plan.specs())
    if isinstance(code, Foreign):
        return []
    fn = inspect.unwrap(code.fn)
    known = dict(fn.__globals__)
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        with suppress(ValueError):  # what the name stands for is not there yet
            known[name] = cell.cell_contents
    return [found.spec for name in _names_in(fn.__code__) if isinstance(found := known.get(name), Step)]


def _names_in(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_in(inner)


def planner_for(code: Code, execution: str) -> Planner:
    """A new planner for one execution of this code."""
    if isinstance(code, Foreign):
        return code.planner(execution)
    return FunctionPlanner(code, execution) if isinstance(code, Workflow) else GraphPlanner(code, execution)


def find_code(store: EventStore, workflow: str, digest: str | None) -> Code:
    """The code of a workflow that some process published. Raises `NoCode`, saying why it cannot be had.

    A graph or a foreign definition comes back exactly as it was published. A function is imported under its name, in
    today's version.
    """
    published: dict[str, Any] | None = None
    for event in store.read_stream(f"workflow/{workflow}"):
        if event.type == "workflow.published" and event.facts["definition"] == digest:
            published = event.value()
    if published is None:
        raise NoCode(workflow, "its definition is not in the log")
    if "graph" in published:
        try:
            return load_graph(published["graph"], base=published["base"], modules=published.get("modules") or None)
        except BadInput as exc:
            raise NoCode(workflow, f"its published graph cannot run here: {exc}") from exc
    if "foreign" in published:
        try:
            return load_published(published["foreign"], published["base"])
        except BadInput as exc:
            raise NoCode(workflow, f"its published definition cannot run here: {exc}") from exc
    try:
        found = import_target(published["target"], published["base"])
    except BadInput as exc:
        raise NoCode(workflow, str(exc)) from exc
    if not isinstance(found, Workflow):
        raise NoCode(workflow, f"{published['target']} is not a workflow any more")
    return found


def import_target(target: str, base: str | None = None) -> Any:
    """The object that `module:name` names, looking in `base` first. Raises `BadInput` saying what is missing."""
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise BadInput(f"{target!r} is not of the form module:name")
    if module_name == "__main__":
        raise BadInput(f"{target!r} was defined in a script; move the workflow into a module to resume it elsewhere")
    with _searched_first(base):
        try:
            found: Any = importlib.import_module(module_name)
        except ImportError as exc:
            raise BadInput(f"{target!r} cannot be imported: {exc}") from exc
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            from actum.errors import near_miss

            hint = near_miss(name, [n for n in vars(found) if not n.startswith("_")])
            raise BadInput(f"{target!r}: {module_name} has no {name!r}{hint}") from None
    return found


@contextmanager
def _searched_first(base: str | None) -> Iterator[None]:
    if base is None:
        yield
        return
    sys.path.insert(0, base)
    try:
        yield
    finally:
        sys.path.remove(base)
