"""`@workflow`: async functions that are re-run over what is recorded."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any, overload

from actum.engine.durations import seconds
from actum.engine.functions.step import hints_of, name_of, short
from actum.engine.labels import labels_of
from actum.engine.payloads.classes import Classes, classes_of_function
from actum.engine.payloads.codec import Checked, checker_for, why
from actum.engine.resources.needs import hold_of
from actum.engine.rules.budgets import Budget
from actum.errors import BadInput, near_miss

__all__ = ["Workflow", "workflow"]


class Workflow:
    """A durable function: re-run over what is recorded, so it must decide only from its input and its steps' results.

    `definition` is the digest of its code (comments and formatting aside); every execution records which it runs.
    """

    def __init__(
        self,
        fn: Callable[..., Awaitable[Any]],
        name: str | None = None,
        *,
        timeout: float | str | None = None,
        priority: int = 0,
        tags: Sequence[str] = (),
        attributes: Mapping[str, str | int | bool] | None = None,
        budget: Budget | None = None,
        needs: Mapping[str, int] | None = None,
        preemptible: bool = False,
    ) -> None:
        if not inspect.iscoroutinefunction(fn):
            raise BadInput(f"a workflow is an async function; {name_of(fn)!r} is not")
        self.fn = fn
        self.__doc__ = fn.__doc__
        self.name = name or fn.__name__
        if not self.name or "/" in self.name or not self.name.isprintable() or len(self.name) > 200:
            raise BadInput(f"a workflow's name is 1 to 200 printable characters without '/', not {self.name!r}")
        self.budget = None if budget is None else budget.checked(f"workflow {self.name!r}")
        self.hold = hold_of(needs, preemptible)
        self.timeout_s = None if timeout is None else seconds(timeout)
        self.labels = labels_of(priority, tags, attributes)
        self._inputs = list(inspect.signature(fn).parameters.values())[1:]

    @property
    def target(self) -> str:
        """Where the code is found again: `module:name`."""
        return f"{self.fn.__module__}:{self.fn.__qualname__}"

    @cached_property
    def source(self) -> str:
        """The function's source text; its target when there is none to be had."""
        try:
            return textwrap.dedent(inspect.getsource(self.fn))
        except (OSError, TypeError):
            return self.target

    @cached_property
    def definition(self) -> str:
        try:
            shape = ast.dump(ast.parse(self.source))
        except SyntaxError:
            shape = self.source
        return "sha256:" + sha256(f"{self.name}\n{shape}".encode()).hexdigest()

    @cached_property
    def classes(self) -> Classes | None:
        """What its annotations declare of its input and its output."""
        return classes_of_function(self.fn, None, 1, "/input", "/output")

    @cached_property
    def _convert(self) -> list[Checked | None]:
        hints = hints_of(self.fn)
        return [checker_for(hints.get(one.name, Any)) for one in self._inputs]

    @cached_property
    def returns(self) -> Checked | None:
        """Makes its recorded output into what it declares to return, raising `ValueError` for what does not fit."""
        hints = hints_of(self.fn)
        return checker_for(hints["return"]) if "return" in hints else None

    def bind(self, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments behind `ctx` for a workflow input; raises `BadInput` when it does not fit the function.

        One parameter takes the whole input; several take a JSON object with their names.
        """
        if not self._inputs:
            if given not in (None, {}):
                raise BadInput(f"workflow {self.name!r} takes no input, but was given {short(given)}")
            return (), {}
        if len(self._inputs) == 1:
            if given is None and self._inputs[0].default is not inspect.Parameter.empty:
                return (), {}
            return (self._typed(0, given),), {}
        names = [parameter.name for parameter in self._inputs]
        if not isinstance(given, dict):
            raise BadInput(f"workflow {self.name!r} takes an object with {', '.join(names)}, not {short(given)}")
        for key in given:
            if key not in names:
                raise BadInput(f"workflow {self.name!r} has no input {key!r}{near_miss(key, names)}")
        for parameter in self._inputs:
            if parameter.name not in given and parameter.default is inspect.Parameter.empty:
                raise BadInput(f"workflow {self.name!r}: input {parameter.name!r} is missing")
        return (), {name: self._typed(names.index(name), value) for name, value in given.items()}

    def _typed(self, index: int, value: Any) -> Any:
        convert = self._convert[index]
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError as exc:
            raise BadInput(f"workflow {self.name!r}: input {self._inputs[index].name!r}: {why(exc)}") from None

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


@overload
def workflow(fn: Callable[..., Awaitable[Any]], /) -> Workflow: ...
@overload
def workflow(
    *,
    name: str | None = None,
    timeout: float | str | None = None,
    priority: int = 0,
    tags: Sequence[str] = (),
    attributes: Mapping[str, str | int | bool] | None = None,
    budget: Budget | None = None,
    needs: Mapping[str, int] | None = None,
    preemptible: bool = False,
) -> Callable[[Callable[..., Awaitable[Any]]], Workflow]: ...
def workflow(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    timeout: float | str | None = None,
    priority: int = 0,
    tags: Sequence[str] = (),
    attributes: Mapping[str, str | int | bool] | None = None,
    budget: Budget | None = None,
    needs: Mapping[str, int] | None = None,
    preemptible: bool = False,
) -> Any:
    """Make an async function, whose first parameter is `ctx`, a durable workflow.

    Behind `ctx`, one parameter takes the whole input; several take a JSON object with their names. What is annotated
    as a dataclass or a pydantic model is made into one. Inside, only steps, other coroutines of the workflow and what
    `ctx` gives may be awaited; anything else ends the execution with `ForeignAwait`. `name` is what executions are
    listed and found under; by default the function's. Raises `BadInput` for what is no async function.

    - `timeout`: how long an execution may take; seconds, or text such as `"1h"`. Then it is cancelled from inside: the
      workflow may clean up, what has completed is undone, and it has failed with the outcome `timeout`.
    - `budget`: what one execution may spend, with its children: before each step it is looked at whether there is room.
    - `needs`: what of the engine's pools an execution holds from before its first step until its end: `{"gpu": 1}`.
      With `preemptible`, it gives that back between two steps when somebody of a higher priority waits for it, and goes
      on when it has got it again.
    - `priority`, `tags`, `attributes`: of its executions, unless they are started with others; see `Engine.start`.
    """

    def wrap(function: Any) -> Workflow:
        return Workflow(
            function,
            name,
            timeout=timeout,
            priority=priority,
            tags=tags,
            attributes=attributes,
            budget=budget,
            needs=needs,
            preemptible=preemptible,
        )

    return wrap if fn is None else wrap(fn)
