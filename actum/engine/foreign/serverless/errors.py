"""Errors of Serverless Workflow: what they hold, and which of them a catch is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from actum.engine.payloads.json_values import same
from actum.engine.rules.calls import Failure

__all__ = ["TaskFailed", "error_of", "error_type", "failure_of", "fits"]

_TYPES: Final = "https://serverlessworkflow.io/spec/1.0.0/errors/"
_STATUS: Final = {"expression": 400, "validation": 400, "timeout": 408, "runtime": 500, "communication": 500}
_TITLES: Final = {
    "expression": "Expression Error",
    "validation": "Validation Error",
    "timeout": "Timeout",
    "runtime": "Runtime Error",
}


class TaskFailed(Exception):
    """A task has failed; `error` has `type`, `status`, and perhaps `title`, `detail`, `instance`."""

    def __init__(self, error: Mapping[str, Any], traceback: str = "") -> None:
        super().__init__(error)
        self.error = dict(error)
        self.traceback = traceback


def error_type(name: str) -> str:
    return _TYPES + name


def error_of(name: str, detail: str, instance: str) -> TaskFailed:
    """One of the language's own errors: expression, validation, timeout, runtime."""
    return TaskFailed(
        {
            "type": error_type(name),
            "status": _STATUS[name],
            "title": _TITLES[name],
            "detail": detail,
            "instance": instance,
        }
    )


def failure_of(failure: Failure, instance: str) -> TaskFailed:
    """What a bound function raised, as an error of the language.

    A `TaskError` keeps its name as the type, its status and its title. A time-out is the language's own; any other
    exception is a runtime error whose title is the name of its class.
    """
    if failure.error_type == "TimeoutError":
        return error_of("timeout", failure.message, instance)
    said = _said(failure.message)
    if said is not None:
        known = {"type": failure.error_type, "status": 500, **said, "instance": instance}
        return TaskFailed(known, failure.traceback)
    if ":" in failure.error_type:  # a URI, which no class is called
        tail = failure.error_type.rpartition("/")[2]
        known = {"type": failure.error_type, "status": _STATUS.get(tail, 500), "detail": failure.message}
        return TaskFailed({**known, "instance": instance}, failure.traceback)
    made = error_of("runtime", failure.message, instance)
    return TaskFailed({**made.error, "title": failure.error_type}, failure.traceback)


def _said(message: str) -> dict[str, Any] | None:
    """What a `TaskError` with a status or a title says of itself."""
    if not message.startswith("{"):
        return None
    try:
        said = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) and said and said.keys() <= {"status", "title", "detail"} else None


def fits(wanted: Mapping[str, Any], error: Mapping[str, Any]) -> bool:
    """Whether `catch.errors.with` is about this error: every field it gives is the same."""
    for name, value in wanted.items():
        field = "detail" if name == "details" else name
        if field not in error or not same(error[field], value):
            return False
    return True
