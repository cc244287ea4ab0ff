"""What users write: `@workflow`, `@step`, and the `ctx` that a workflow is given."""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
import typing
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from functools import cached_property, update_wrapper
from hashlib import sha256
from typing import Any, Generic, Literal, ParamSpec, TypeVar, get_args, overload

from actum.engine.calls import Approval, Approve, Call, Severity, Sleep, StepSpec
from actum.engine.classes import Classes, PayloadClass, classes_of_function, payload_class_of
from actum.engine.codec import decoder_for, encode_question
from actum.engine.durations import seconds
from actum.engine.retry import ONCE, Retry
from actum.errors import BadInput

__all__ = ["Context", "Gather", "Pending", "Step", "Workflow", "driving", "step", "workflow"]

P = ParamSpec("P")
R = TypeVar("R")

_UNDO = Retry(attempts=3)
"""How often a compensation is tried that does not say."""


class Pending:
    """A call that a workflow has made and not yet awaited. Awaiting it gives what was, or will be, recorded."""

    __slots__ = ("awaited", "wish")

    def __init__(self, wish: Call | Approve | Sleep) -> None:
        self.wish = wish
        self.awaited = False

    def __await__(self) -> Generator[Pending, Any, Any]:
        return (yield self)


class Gather:
    """Several calls or coroutines of a workflow, awaited together."""

    __slots__ = ("children", "return_exceptions")

    def __init__(self, children: tuple[Any, ...], return_exceptions: bool) -> None:
        self.children = children
        self.return_exceptions = return_exceptions

    def __await__(self) -> Generator[Gather, Any, Any]:
        return (yield self)


class Driver(typing.Protocol):
    """The machine that runs a workflow's coroutine; it gives out occurrences."""

    def pending_step(
        self, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], convert: Callable[[Any], Any] | None
    ) -> Pending: ...
    def pending_approval(self, approval: Approval) -> Pending: ...
    def pending_sleep(self, seconds: float, name: str) -> Pending: ...


class _Driving(threading.local):
    """The driver whose workflow runs at this moment in this thread, if any."""

    now: Driver | None = None


driving = _Driving()


class Step(Generic[P, R]):
    """A function whose calls inside a workflow are recorded. Outside of one it is the plain function."""

    def __init__(self, fn: Callable[P, R], spec: StepSpec, payload_class: PayloadClass | None = None) -> None:
        update_wrapper(self, fn)
        self.fn = fn
        self.spec = spec
        self._payload_class = payload_class

    @cached_property
    def full_spec(self) -> StepSpec:
        """With what its annotations declare, which may name types that were not there yet when it was decorated."""
        classes = classes_of_function(self.fn, self._payload_class, 0, "args", "")
        return self.spec if classes is None else replace(self.spec, classes=classes)

    @cached_property
    def convert(self) -> Callable[[Any], Any] | None:
        return decoder_for(_hints(self.fn).get("return"))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        driver = driving.now
        if driver is None:
            return self.fn(*args, **kwargs)
        pending: Any = driver.pending_step(self.full_spec, args, kwargs, self.convert)
        return typing.cast(R, pending)

    def __repr__(self) -> str:
        return f"<step {self.spec.name}>"


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn)
    except Exception:  # noqa: BLE001 - annotations that cannot be resolved here are taken as plain JSON
        return {}


def _name_of(fn: Any) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def _named(what: str, name: str) -> str:
    if "/" in name or "#" in name or not name or not name.isprintable() or len(name) > 200:
        raise BadInput(f"the name of a {what} is 1 to 200 printable characters without '/' and '#', not {name!r}")
    return name


def _spec(
    fn: Any,
    name: str | None,
    retries: Any,
    timeout: Any,
    compensate: Any,
    on_doubt: Literal["retry", "verify", "park"],
    verify: Callable[..., Any] | None,
    tool: str | None,
) -> StepSpec:
    if on_doubt not in ("retry", "verify", "park"):
        raise BadInput(f"on_doubt is retry, verify or park, not {on_doubt!r}")
    if on_doubt == "verify" and verify is None:
        raise BadInput(f"step {_name_of(fn)!r}: on_doubt='verify' needs a verify function")
    undo: StepSpec | None = None
    if isinstance(compensate, Step):
        undo = compensate.spec if compensate.spec.retry != ONCE else replace(compensate.spec, retry=_UNDO)
    elif compensate is not None:
        undo = StepSpec(_named("compensation", _name_of(compensate)), compensate, _UNDO)
    return StepSpec(
        _named("step", _name_of(fn) if name is None else name),
        fn,
        Retry.of(retries),
        None if timeout is None else seconds(timeout),
        undo,
        on_doubt,
        verify,
        tool,
    )


@overload
def step(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    retries: int | Retry | dict[str, Any] | None = None,
    timeout: float | str | None = None,
    compensate: Callable[..., Any] | None = None,
    on_doubt: Literal["retry", "verify", "park"] = "retry",
    verify: Callable[..., Any] | None = None,
    tool: str | None = None,
    payload_class: PayloadClass | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    retries: Any = None,
    timeout: Any = None,
    compensate: Any = None,
    on_doubt: Literal["retry", "verify", "park"] = "retry",
    verify: Any = None,
    tool: str | None = None,
    payload_class: PayloadClass | None = None,
) -> Any:
    """Make a function a step: inside a workflow its calls are recorded before and after, retried and undone.

    The function may be async, or plain (then it runs in a thread). Arguments and result must be JSON, dataclasses
    or pydantic models.

    - `retries`: how many attempts may follow the first, or a `Retry` with back-off, jitter and error types.
    - `timeout`: of one attempt; seconds, or text such as `"30s"`.
    - `compensate`: called with the recorded result when the execution fails after this step has completed; tried
      three times unless it is a step that says how often.
    - `on_doubt`: what to do with an attempt whose end was never recorded because the process died: `"retry"` it
      under the same idempotency key, ask `verify` (called with the step's arguments; a result other than None
      counts as the step's), or `"park"` the execution until a person decides.
    - `tool`: the step is a call of this tool, and its attempts count in the tool metrics.
    - `payload_class`: whether arguments and result are `"public"`, `"business"` or `"personal"` as a whole. Without it,
      fields that are annotated as `Annotated[…, Personal]` are personal; where nothing is declared, everything is that
      an execution about a subject records.

    Raises `BadInput` for a name with `/` or `#` in it, and for a duration, a retry or a class that is none.
    """

    def wrap(function: Callable[P, R]) -> Step[P, R]:
        spec = _spec(function, name, retries, timeout, compensate, on_doubt, verify, tool)
        return Step(function, spec, payload_class_of(payload_class, f"step {spec.name!r}"))

    return wrap if fn is None else wrap(fn)


class Workflow:
    """A durable function: re-run over what is recorded, so it must decide only from its input and its steps' results.

    `definition` is the digest of its code (comments and formatting aside); every execution records which it runs.
    """

    def __init__(self, fn: Callable[..., Awaitable[Any]], name: str | None = None) -> None:
        if not inspect.iscoroutinefunction(fn):
            raise BadInput(f"a workflow is an async function; {_name_of(fn)!r} is not")
        self.fn = fn
        self.__doc__ = fn.__doc__
        self.name = name or fn.__name__
        if not self.name or "/" in self.name or not self.name.isprintable() or len(self.name) > 200:
            raise BadInput(f"a workflow's name is 1 to 200 printable characters without '/', not {self.name!r}")
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
    def _convert(self) -> list[Callable[[Any], Any] | None]:
        hints = _hints(self.fn)
        return [decoder_for(hints.get(parameter.name)) for parameter in self._inputs]

    def bind(self, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments behind `ctx` for a workflow input; raises `BadInput` when it does not fit the function.

        One parameter takes the whole input; several take a JSON object with their names.
        """
        if not self._inputs:
            if given not in (None, {}):
                raise BadInput(f"workflow {self.name!r} takes no input, but was given {_short(given)}")
            return (), {}
        if len(self._inputs) == 1:
            if given is None and self._inputs[0].default is not inspect.Parameter.empty:
                return (), {}
            return (self._typed(0, given),), {}
        names = [parameter.name for parameter in self._inputs]
        if not isinstance(given, dict):
            raise BadInput(f"workflow {self.name!r} takes an object with {', '.join(names)}, not {_short(given)}")
        for key in given:
            if key not in names:
                from actum.errors import near_miss

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
            raise BadInput(f"workflow {self.name!r}: input {self._inputs[index].name!r}: {exc}") from None

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@overload
def workflow(fn: Callable[..., Awaitable[Any]], /) -> Workflow: ...
@overload
def workflow(*, name: str | None = None) -> Callable[[Callable[..., Awaitable[Any]]], Workflow]: ...
def workflow(fn: Any = None, /, *, name: str | None = None) -> Any:
    """Make an async function, whose first parameter is `ctx`, a durable workflow.

    Behind `ctx`, one parameter takes the whole input; several take a JSON object with their names. What is annotated
    as a dataclass or a pydantic model is made into one. Inside, only steps, other coroutines of the workflow and what
    `ctx` gives may be awaited; anything else ends the execution with `ForeignAwait`. `name` is what executions are
    listed and found under; by default the function's. Raises `BadInput` for what is no async function.
    """
    return Workflow(fn, name) if fn is not None else lambda function: Workflow(function, name)


class Context:
    """What a workflow may do beside calling steps. Everything here is recorded and comes out the same on replay.

    `execution` is the id of the execution that runs.
    """

    __slots__ = ("_driver", "execution")

    def __init__(self, driver: Driver, execution: str) -> None:
        self._driver = driver
        self.execution = execution

    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pending:
        """Call any function as a step of this name, without a decorator: `await ctx.step("fetch", fetch, url)`."""
        if isinstance(fn, Step):
            spec = replace(fn.full_spec, name=_named("step", name))
            return self._driver.pending_step(spec, args, kwargs, fn.convert)
        spec = _spec(fn, name, None, None, None, "retry", None, None)
        classes = classes_of_function(fn, None, 0, "args", "")
        spec = spec if classes is None else replace(spec, classes=classes)
        return self._driver.pending_step(spec, args, kwargs, decoder_for(_hints(fn).get("return")))

    def gather(self, *children: Any, return_exceptions: bool = False) -> Gather:
        """Run calls and coroutines side by side and wait for all; the results come in the order given.

        The first failure is raised at once while the others go on, as with `asyncio.gather`; with
        `return_exceptions` failures stand among the results instead. When the workflow ends while others still go
        on, attempts that are running are waited for and recorded; such a branch asks for nothing more, and a step
        that waits for its next attempt is given up.
        """
        return Gather(children, return_exceptions)

    def approve(self, approval: Approval | str) -> Pending:
        """Ask people, and wait without holding anything. Raises `ApprovalRejected` on no, or when the deadline passes.

        The result is `{"status": "approved", "by": …, "comment": …}`.
        """
        asked = Approval(approval) if isinstance(approval, str) else approval
        _named("approval", asked.name)
        if asked.severity not in get_args(Severity):
            raise BadInput(f"an approval's severity is {', '.join(get_args(Severity))}, not {asked.severity!r}")
        if asked.deadline_s is not None:
            asked = replace(asked, deadline_s=seconds(asked.deadline_s))
        encode_question(asked)  # what cannot be shown is an error here, where it was written
        return self._driver.pending_approval(asked)

    def sleep(self, duration: float | str, name: str = "sleep") -> Pending:
        """Wait, through restarts too; seconds, or text such as `"2h"`."""
        return self._driver.pending_sleep(seconds(duration), _named("timer", name))
