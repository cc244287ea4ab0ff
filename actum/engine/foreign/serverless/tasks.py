"""The kinds of task, what each has, and under which names a function may be bound to one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from actum.engine.graphs.place import Place

__all__ = ["BASE", "CALLS", "FIELDS", "KINDS", "binding_keys", "endpoint_of", "inner_lists", "kind_of", "needs_binding"]

BASE: Final = ("if", "input", "output", "export", "timeout", "then", "metadata")
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "call": ("call", "with"),
    "do": ("do",),
    "emit": ("emit",),
    "for": ("for", "while", "do"),
    "fork": ("fork",),
    "listen": ("listen", "foreach"),
    "raise": ("raise",),
    "run": ("run",),
    "set": ("set",),
    "switch": ("switch",),
    "try": ("try", "catch"),
    "wait": ("wait",),
}
KINDS: Final = ("call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do")
"""`do` last: a `for` task has one too."""
CALLS: Final = ("asyncapi", "grpc", "http", "openapi", "a2a", "mcp")
RUNS: Final = ("container", "script", "shell", "workflow")


def kind_of(task: Mapping[str, Any]) -> str | None:
    return next((kind for kind in KINDS if kind in task), None)


def needs_binding(task: Mapping[str, Any]) -> bool:
    """Whether its work is done by a function; what is emitted is recorded without one, too."""
    return "call" in task or "run" in task


def binding_keys(name: str, task: Mapping[str, Any]) -> list[str]:
    """Under which names a function may be bound to the task, the nearest first."""
    if "call" in task:
        call, given = task["call"], task.get("with", {})
        what: Any = None
        match call:
            case "http":
                what = endpoint_of(given)
            case "openapi":
                what = given.get("operationId")
            case "asyncapi":
                what = given.get("operation") or given.get("channel")
            case "grpc":
                what = f"{given['service']['name']}/{given['method']}"
            case "a2a" | "mcp":
                what = given.get("method")
        return [name, *([what] if isinstance(what, str) and what != name else []), call]
    if "run" in task:
        kind = next(kind for kind in RUNS if kind in task["run"])
        thing = task["run"][kind]
        what = thing.get("image") if kind == "container" else thing.get("name") if kind == "workflow" else None
        return [name, *([what] if isinstance(what, str) else []), kind]
    if "emit" in task:
        type_ = task["emit"]["event"]["with"]["type"]
        return [name, type_, "emit"]
    return []


def endpoint_of(given: Mapping[str, Any]) -> Any:
    """The address of an HTTP call, in either spelling."""
    endpoint = given.get("endpoint")
    return endpoint.get("uri") if isinstance(endpoint, Mapping) else endpoint


def inner_lists(task: Mapping[str, Any], place: Place) -> Iterator[tuple[list[Any], Place, tuple[str, ...]]]:
    """The lists of tasks inside a task, where each stands, and the variables that only its tasks see."""
    match kind_of(task):
        case "do":
            yield task["do"], place / "do", ()
        case "for":
            names = (task["for"].get("each", "item"), task["for"].get("at", "index"))
            yield task["do"], place / "do", names
        case "fork":
            yield task["fork"]["branches"], place / "fork" / "branches", ()
        case "try":
            yield task["try"], place / "try", ()
            if "do" in task["catch"]:
                yield task["catch"]["do"], place / "catch" / "do", (task["catch"].get("as", "error"),)
        case "listen":
            each = task.get("foreach", {})
            if "do" in each:
                yield each["do"], place / "foreach" / "do", (each.get("item", "item"), each.get("at", "index"))
