"""The functions that a foreign definition's tasks are bound to, and the errors they raise under foreign names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from actum.engine.graphs.code import CodeFinder
from actum.engine.graphs.graph import Code
from actum.engine.graphs.place import Place
from actum.engine.rules.calls import StepSpec
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import BadInput

__all__ = ["Bindings", "Bound", "TaskError", "bindings", "copied"]

_LONGEST = 256


class TaskError(Exception):
    """What a bound function raises so that its definition can catch it by `name`, as in `"ErrorEquals": [name]`.

    Any other exception has the name of its class. `status` and `title` are for languages whose errors have them:

        raise TaskError("https://serverlessworkflow.io/spec/1.0.0/errors/communication", "gone", status=404)
    """

    name: str

    def __new__(cls, name: str, *args: Any, **kwargs: Any) -> TaskError:
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or not name.isprintable():
            raise BadInput(f"the name of a task's error is 1 to {_LONGEST} printable characters, not {name!r}")
        return super().__new__(type(name, (cls,), {}))  # an error is recorded under the name of its class

    def __init__(self, name: str, message: str = "", *, status: int | None = None, title: str | None = None) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message
        self.status = status
        self.title = title

    def __str__(self) -> str:
        if self.status is None and self.title is None:
            return self.message
        said = {"status": self.status, "title": self.title, "detail": self.message}
        return orjson.dumps({key: value for key, value in said.items() if value is not None}).decode()

    def __reduce__(self) -> Any:
        return _again, (self.name, self.message, self.status, self.title)


def _again(name: str, message: str, status: int | None, title: str | None) -> TaskError:
    return TaskError(name, message, status=status, title=title)


Bindings = Mapping[str, Code]


def bindings(tasks: Mapping[str, Callable[..., Any] | Code | str] | None, place: Place) -> dict[str, Code]:
    """The bindings as they are kept: by what the definition calls a task, `module:name` and what Python gave."""
    made: dict[str, Code] = {}
    for name, given in (tasks or {}).items():
        if not isinstance(name, str) or not name:
            raise (place / "tasks").error(f"binds {name!r}; a task is named by a text")
        try:
            made[name] = Code.of(given)
        except BadInput as exc:
            raise (place / "tasks" / name).error(str(exc)) from None
        if ":" not in made[name].ref.strip(":"):
            raise (place / "tasks" / name).error(f"{made[name].ref!r} is not of the form module:name")
    return made


class Bound:
    """One bound function: called with one value, a copy, or with none when it takes none."""

    def __init__(self, code: Code, finder: CodeFinder, place: Place) -> None:
        target = finder.find(code, place)
        declared = getattr(target, "spec", None)
        self._declared = declared if isinstance(declared, StepSpec) else None
        fn = target if self._declared is None else self._declared.run
        if not callable(fn) or inspect.isclass(fn):
            raise place.error(f"{code.ref!r} is no function; a task is bound to one")
        self._fn = fn
        self._gives = _takes_one(fn, code.ref, place)

    def spec(
        self,
        name: str,
        *,
        retry: Retry = ONCE,
        timeout_s: float | None = None,
        result: Callable[[Any], Any] | None = None,
    ) -> StepSpec:
        """The step that calls it; `result` shapes what it returns. What `@step` declares beyond retries stays."""
        run = _runner(self._fn, self._gives, result)
        if self._declared is None:
            return StepSpec(name, run, retry, timeout_s)
        if self._declared.verify is not None:
            verify = _runner(self._declared.verify, self._gives, result)
            return replace(self._declared, name=name, run=run, retry=retry, timeout_s=timeout_s, verify=verify)
        return replace(self._declared, name=name, run=run, retry=retry, timeout_s=timeout_s)


def _takes_one(fn: Callable[..., Any], ref: str, place: Place) -> bool:
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return True  # no signature to be had: the call will tell
    for args, gives in (((None,), True), ((), False)):
        try:
            signature.bind(*args)
        except TypeError:
            continue
        return gives
    raise place.error(f"{ref}{signature} cannot be called with one value, the task's input")


def _runner(fn: Callable[..., Any], gives: bool, result: Callable[[Any], Any] | None) -> Callable[..., Any]:
    shape = result or (lambda value: value)
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None)):  # noqa: B004

        async def run_async(value: Any) -> Any:
            return shape(await (fn(copied(value)) if gives else fn()))

        return run_async

    def run(value: Any) -> Any:
        return shape(fn(copied(value)) if gives else fn())

    return run


def copied(value: Any) -> Any:
    """A copy all the way down: what user code does to it changes nothing else."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value
