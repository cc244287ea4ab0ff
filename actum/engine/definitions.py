"""Definitions in the log: what an execution runs is found again by name and digest, in another process too."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from actum.engine.calls import Planner
from actum.engine.durable import Workflow
from actum.engine.function import FunctionPlanner
from actum.engine.graph import Graph
from actum.engine.graph_load import load_graph
from actum.engine.graph_planner import GraphPlanner
from actum.errors import BadInput, IdempotencyConflict, NoCode
from actum.events import Actor, NewEvent, foreign_id
from actum.eventstore import ANY, Append, EventStore

__all__ = ["Code", "find_code", "import_target", "kind_of", "planner_for", "publish"]

Code = Workflow | Graph


def kind_of(code: Code) -> str:
    return "function" if isinstance(code, Workflow) else "graph"


def digest_of(code: Code) -> str:
    return code.definition if isinstance(code, Workflow) else code.digest


def planner_for(code: Code, execution: str) -> Planner:
    """A new planner for one execution of this code."""
    return FunctionPlanner(code, execution) if isinstance(code, Workflow) else GraphPlanner(code)


def publish(store: EventStore, code: Code, at: str, actor: Actor) -> None:
    """See that the definition stands in the log, as `workflow.published` in the stream of its name. Once is enough."""
    stream = f"workflow/{code.name}"
    digest = digest_of(code)
    for event in store.read_stream(stream):
        if event.type == "workflow.published" and event.facts["definition"] == digest:
            return
    definition: dict[str, Any]
    if isinstance(code, Workflow):
        definition = {"target": code.target, "source": code.source, "base": os.getcwd()}
    else:
        definition = {"graph": code.to_json(), "base": str(code.base or os.getcwd()), "modules": dict(code.modules)}
    facts = {"workflow": code.name, "kind": kind_of(code), "definition": digest}
    id_ = foreign_id("workflow.published", store.tenant, code.name, digest)
    event_ = NewEvent("workflow.published", facts, at, actor, id_, orjson.dumps(definition))
    try:
        store.append([Append(stream, ANY, [event_])])
    except IdempotencyConflict:
        return  # another process published it between our look and our append


def find_code(store: EventStore, workflow: str, digest: str | None) -> Code:
    """The code of a workflow that some process published. Raises `NoCode`, saying why it cannot be had.

    A graph comes back exactly as it was published. A function is imported under its name, in today's version.
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
