"""Running a function in another process: how it is named there, and what comes back. Names and JSON, never pickle."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from actum.engine.functions.outcomes import failure_of
from actum.engine.functions.step import Step
from actum.engine.payloads.codec import decoder_for, encode
from actum.engine.rules.calls import Failure
from actum.engine.rules.usage import Used
from actum.engine.runtime.executors import Job, is_async
from actum.engine.runtime.step_info import StepInfo, running
from actum.errors import BadInput

__all__ = ["FailedThere", "check_sendable", "do", "request_of", "value_of"]

_ANY_SIZE = 1 << 62


class FailedThere(Exception):
    """What a step raised in another process, as it is to be recorded."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.error_type}: {failure.message}")
        self.failure = failure


def check_sendable(run: Callable[..., Any]) -> None:
    """Raise `BadInput` when another process could not find the function by its name."""
    run = _code(run)
    module, name = getattr(run, "__module__", None), getattr(run, "__qualname__", None)
    if module is None or name is None or "<" in name:
        raise BadInput(
            f"{name or type(run).__qualname__!r} cannot be found by its name in another process; move it to the top of "
            "its module"
        )
    if module == "__main__":
        raise BadInput(f"{name!r} is defined in a script, where another process cannot find it; move it into a module")
    if _code(_named(sys.modules.get(module), name)) is not run:
        raise BadInput(f"{module}:{name} is something else than the function that is to run; give it its own name")


def request_of(job: Job) -> bytes:
    """The attempt, as it is sent: where its code is, its arguments as JSON, and what it may know of itself."""
    run = _code(job.run)
    module = run.__module__
    said = {
        "module": module,
        "name": run.__qualname__,
        "root": _root_of(module),
        "args": job.args,
        "kwargs": dict(job.kwargs),
        "info": list(job.info[:3]),  # services stay here
    }
    return encode(said, "what a step is given", _ANY_SIZE)


def do(request: bytes) -> bytes:
    """Run what was asked for, here, and give what `value_of` understands there. Raises nothing."""
    info = StepInfo("", "", 0)
    try:
        said = orjson.loads(request)
        run = _find(said["module"], said["name"], said["root"])
        info = StepInfo(*said["info"])._replace(reported=[])
        running.set(info)
        args, kwargs = _typed(run, said["args"], said["kwargs"])
        value = asyncio.run(run(*args, **kwargs)) if is_async(run) else run(*args, **kwargs)
        try:
            return encode({"value": value, "used": _listed(info)}, "the step's result", _ANY_SIZE)
        except BadInput as exc:
            failure = Failure("UnrecordableResult", str(exc))
    except BaseException as exc:  # noqa: BLE001 - SystemExit too: it is what the step raised
        failure = failure_of(exc)
    fields = [failure.error_type, failure.message, failure.traceback, failure.bases]
    try:
        return orjson.dumps({"failure": fields, "used": _listed(info)})
    except TypeError:  # a text that is no Unicode
        fields = [failure.error_type, ascii(failure.message), "", failure.bases]
        return orjson.dumps({"failure": fields, "used": _listed(info)})


def _listed(info: StepInfo) -> list[list[Any]]:
    return [list(one) for one in info.reported or ()]


def value_of(answer: bytes, info: StepInfo) -> Any:
    """What the function returned; `info` learns what it has used. Raises `FailedThere` when it raised."""
    said = orjson.loads(answer)
    if said.get("used") and info.reported is not None:
        info.reported.extend(Used(*one) for one in said["used"])
    if "failure" in said:
        error_type, message, traceback, bases = said["failure"]
        raise FailedThere(Failure(error_type, message, traceback, tuple(bases)))
    return said["value"]


def _code(run: Any) -> Any:
    """The function itself, without what only passes its arguments on."""
    while True:
        if isinstance(run, Step):
            run = run.fn
        elif hasattr(run, "sent_as"):
            run = run.sent_as
        else:
            return run


def _named(found: Any, name: str) -> Any:
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _root_of(module: str) -> str | None:
    """The folder from which the module was imported, which may have been searched only then."""
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None:
        return None
    up = module.count(".") + (Path(path).stem == "__init__")
    return str(Path(path).absolute().parents[up])


def _find(module: str, name: str, root: str | None) -> Callable[..., Any]:
    if root is not None and root not in sys.path:
        sys.path.append(root)
    run = _code(_named(importlib.import_module(module), name))
    if not callable(run):
        raise NameError(f"{module} has no function {name!r} in the process that runs steps")
    found: Callable[..., Any] = run
    return found


def _typed(run: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments, made from JSON into what the function's annotations say."""
    try:
        hints = typing.get_type_hints(run)
        names = list(inspect.signature(run).parameters)
    except Exception:  # noqa: BLE001 - no annotations to be had: then JSON it is
        return args, kwargs

    def typed(name: str, value: Any) -> Any:
        convert = decoder_for(hints.get(name))
        return value if convert is None else convert(value)

    known = [*names, *[""] * len(args)]
    return (
        [typed(name, value) for name, value in zip(known, args, strict=False)],
        {name: typed(name, value) for name, value in kwargs.items()},
    )
