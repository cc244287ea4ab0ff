"""What users write: `@workflow`, `@step`, and the `ctx` that a workflow is given."""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
import typing
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, update_wrapper
from hashlib import sha256
from random import Random
from typing import Any, Generic, Literal, NoReturn, ParamSpec, TypeVar, get_args, overload
from uuid import UUID

from actum.engine.durations import seconds
from actum.engine.labels import labels_of
from actum.engine.payloads.classes import Classes, PayloadClass, classes_of_function, payload_class_of
from actum.engine.payloads.codec import Checked, checker_for, decoder_for, encode, encode_question, why
from actum.engine.resources.needs import needs_of
from actum.engine.rules.calls import Approval, Approve, Call, Child, Receive, Severity, Sleep, StepSpec, Undo, Wait
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import BadInput, Mismatch, SignalTimeout, near_miss

__all__ = [
    "Context",
    "ContinueAsNew",
    "Gather",
    "Pending",
    "Race",
    "Savepoint",
    "Service",
    "Step",
    "Won",
    "Workflow",
    "driving",
    "services_of",
    "step",
    "workflow",
]

P = ParamSpec("P")
R = TypeVar("R")

_UNDO = Retry(attempts=3)
"""How often a compensation is tried that does not say."""


class Pending:
    """A call that a workflow has made and not yet awaited. Awaiting it gives what was, or will be, recorded."""

    __slots__ = ("awaited", "wish")

    def __init__(self, wish: Call | Approve | Sleep | Wait | Child | Receive | Undo) -> None:
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


@dataclass(frozen=True)
class Won:
    """Who came first in a race, its index or its name, and with what."""

    which: int | str
    value: Any


class Race:
    """Several calls or coroutines of a workflow, of which the first to end counts."""

    __slots__ = ("children", "names")

    def __init__(self, names: tuple[int | str, ...], children: tuple[Any, ...]) -> None:
        self.names = names
        self.children = children

    def __await__(self) -> Generator[Race, Won, Won]:
        return (yield self)


class ContinueAsNew(BaseException):
    """Ends a workflow that goes on as a new execution. No failure: `except Exception` lets it through."""

    def __init__(self, workflow_input: Any) -> None:
        self.input = workflow_input


class Driver(typing.Protocol):
    """The machine that runs a workflow's coroutine; it gives out occurrences."""

    now_us: int

    @property
    def rng(self) -> Random: ...
    def draw(self, what: str) -> bytes: ...
    def patched(self, patch: str) -> bool: ...
    def pending_wait(self, signal: str) -> Pending: ...
    def pending_child(
        self,
        name: str,
        workflow: Any,
        workflow_input: Any,
        id_: str | None,
        on_parent_close: Literal["cancel", "abandon"],
        convert: Callable[[Any], Any] | None,
    ) -> Pending: ...

    def pending_step(
        self, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], convert: Callable[[Any], Any] | None
    ) -> Pending: ...
    def pending_approval(self, approval: Approval) -> Pending: ...
    def pending_sleep(self, seconds: float, name: str, until_us: int | None = None) -> Pending: ...
    def pending_input(self, prompt: Any, name: str) -> Pending: ...
    def pending_undo(self, since: int, name: str) -> Pending: ...
    def told(self) -> int: ...


class Savepoint(typing.NamedTuple):
    """A place in a workflow that `ctx.compensate` can go back to."""

    told: int
    """How many outcomes the workflow had been told by then."""


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
    executor: str = "",
    undo_group: str | None = None,
    pivot: bool = False,
) -> StepSpec:
    if on_doubt not in ("retry", "verify", "park"):
        raise BadInput(f"on_doubt is retry, verify or park, not {on_doubt!r}")
    if on_doubt == "verify" and verify is None:
        raise BadInput(f"step {_name_of(fn)!r}: on_doubt='verify' needs a verify function")
    if pivot and compensate is not None:
        raise BadInput(f"step {_name_of(fn)!r}: a pivot is not undone, so it takes no compensate")
    if undo_group is not None and compensate is None:
        raise BadInput(f"step {_name_of(fn)!r}: undo_group={undo_group!r} is for a step with compensate")
    if undo_group is not None:
        _named("group of compensations", undo_group)
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
        executor=executor,
        undo_group=undo_group,
        pivot=pivot,
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
    undo_group: str | None = None,
    pivot: bool = False,
    payload_class: PayloadClass | None = None,
    executor: str = "",
    services: Sequence[str] | Mapping[str, str] = (),
    needs: Mapping[str, int] | None = None,
    breaker: str | None = None,
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
    undo_group: str | None = None,
    pivot: bool = False,
    payload_class: PayloadClass | None = None,
    executor: str = "",
    services: Sequence[str] | Mapping[str, str] = (),
    needs: Mapping[str, int] | None = None,
    breaker: str | None = None,
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
    - `undo_group`: compensations of steps of one group that completed one after the other run side by side; without it
      each waits for the one before.
    - `pivot`: once this step has completed, what completed before it is not undone any more, however the execution
      ends: from there on it only goes forward.
    - `payload_class`: whether arguments and result are `"public"`, `"business"` or `"personal"` as a whole. Without it,
      fields that are annotated as `Annotated[…, Personal]` are personal; where nothing is declared, everything is that
      an execution about a subject records.
    - `executor`: where it runs: `"process"` for what keeps a processor busy, `"ray"` for what needs a cluster, or the
      name of one that the engine was given. Without it, an async function runs in the event loop and a plain one in a
      thread. An engine that has none of that name refuses the workflow before anything is written.
    - `services`: parameters that are given the engine's service of that name, or parameter → service; `db:
      Annotated[Pool, Service("pool")]` on a parameter says the same. A call leaves them out.
    - `needs`: what of the engine's pools and rate limits an attempt must have before it begins, by name: `{"gpu": 1}`.
      Until then the step is scheduled. `breaker`: the circuit breaker that stands before it.

    Raises `BadInput` for a name with `/` or `#` in it, and for a duration, a retry, a class or an amount that is none.
    """

    required = needs_of(needs, breaker)

    def wrap(function: Callable[P, R]) -> Step[P, R]:
        spec = _spec(function, name, retries, timeout, compensate, on_doubt, verify, tool, executor, undo_group, pivot)
        asked = services_of(function, services)
        spec = replace(spec, services=asked) if asked else spec
        spec = spec if required is None else replace(spec, needs=required)
        return Step(function, spec, payload_class_of(payload_class, f"step {spec.name!r}"))

    return wrap if fn is None else wrap(fn)


@dataclass(frozen=True, slots=True)
class Service:
    """In an annotation: this parameter is given the engine's service of that name."""

    name: str


def services_of(fn: Any, stated: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Parameter → service, as stated and as the annotations say. Raises `BadInput` for a parameter that is none."""
    named = stated if isinstance(stated, Mapping) else {name: name for name in stated}
    found = dict(named)
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return found
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for name in named:
            if name not in parameters:
                hint = near_miss(name, parameters)
                raise BadInput(f"{_name_of(fn)!r} has no parameter {name!r} to give a service to{hint}")
    if any("Service" in str(parameter.annotation) for parameter in parameters.values()):
        hints = typing.get_type_hints(fn, include_extras=True)
        for name, hint in hints.items():
            for one in getattr(hint, "__metadata__", ()):
                if isinstance(one, Service):
                    found[name] = one.name
    return found


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
    ) -> None:
        if not inspect.iscoroutinefunction(fn):
            raise BadInput(f"a workflow is an async function; {_name_of(fn)!r} is not")
        self.fn = fn
        self.__doc__ = fn.__doc__
        self.name = name or fn.__name__
        if not self.name or "/" in self.name or not self.name.isprintable() or len(self.name) > 200:
            raise BadInput(f"a workflow's name is 1 to 200 printable characters without '/', not {self.name!r}")
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
        hints = _hints(self.fn)
        return [checker_for(hints.get(one.name, Any)) for one in self._inputs]

    @cached_property
    def returns(self) -> Checked | None:
        """Makes its recorded output into what it declares to return, raising `ValueError` for what does not fit."""
        hints = _hints(self.fn)
        return checker_for(hints["return"]) if "return" in hints else None

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


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
) -> Any:
    """Make an async function, whose first parameter is `ctx`, a durable workflow.

    Behind `ctx`, one parameter takes the whole input; several take a JSON object with their names. What is annotated
    as a dataclass or a pydantic model is made into one. Inside, only steps, other coroutines of the workflow and what
    `ctx` gives may be awaited; anything else ends the execution with `ForeignAwait`. `name` is what executions are
    listed and found under; by default the function's. Raises `BadInput` for what is no async function.

    - `timeout`: how long an execution may take; seconds, or text such as `"1h"`. Then it is cancelled from inside: the
      workflow may clean up, what has completed is undone, and it has failed with the outcome `timeout`.
    - `priority`, `tags`, `attributes`: of its executions, unless they are started with others; see `Engine.start`.
    """

    def wrap(function: Any) -> Workflow:
        return Workflow(function, name, timeout=timeout, priority=priority, tags=tags, attributes=attributes)

    return wrap if fn is None else wrap(fn)


_RAISE: Any = object()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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

    def savepoint(self) -> Savepoint:
        """Remember this place, so that `ctx.compensate(to=…)` undoes only what completes after it."""
        return Savepoint(self._driver.told())

    def compensate(self, to: Savepoint | None = None) -> Pending:
        """Undo now what has completed so far, or since a savepoint, in reverse order; then the workflow goes on.

        What a pivot has settled stays. Raises `StepFailed` with the error type `CompensationFailed`, naming the steps,
        when something could not be undone. Raises `BadInput` when `to` is no savepoint.
        """
        if to is not None and not isinstance(to, Savepoint):
            raise BadInput(f"ctx.compensate(to=…) takes what ctx.savepoint() gave, not {_short(to)}")
        return self._driver.pending_undo(0 if to is None else to.told, "compensate")

    def receive(self, prompt: Any = None, name: str = "input") -> Pending:
        """Say how far the workflow has come, and wait for more input, which is the result.

        Until it is there the execution is incomplete: `handle.result()` raises `Incomplete` with this prompt, and
        `engine.continue_` gives the input. Raises `BadInput` for a prompt that is not JSON.
        """
        encode({"prompt": prompt}, "what the workflow asks for")
        return self._driver.pending_input(prompt, _named("input", name))

    def sleep_until(self, when: datetime, name: str = "sleep") -> Pending:
        """Wait until an instant, through restarts too; one that has passed already ends at once.

        Raises `BadInput` for a time without a time zone.
        """
        if when.tzinfo is None:
            raise BadInput(f"{when!r} has no time zone, so it is no instant; write datetime(…, tzinfo=UTC)")
        until_us = (when - _EPOCH) // timedelta(microseconds=1)
        return self._driver.pending_sleep(0, _named("timer", name), until_us)

    def race(self, *children: Any, **named: Any) -> Race:
        """Run calls and coroutines side by side; the first to end wins, and the others are given up.

        The result is a `Won`: `which`, the index or the name of the first, and its `value`. When the first ends with a
        failure, that is raised. What the others wait for is given up: an attempt under way is cancelled and recorded
        as `step.cancelled` (its effect may have happened), questions are withdrawn, timers do not fire any more,
        children are asked to stop. Their coroutines are closed where they stand, and calls in their `finally` are not
        heard; steps of theirs that have completed are undone as any other when the execution fails.
        """
        if not children and not named:
            raise BadInput("a race needs somebody who runs")
        return Race((*range(len(children)), *named), (*children, *named.values()))

    def wait_signal(
        self, name: str, type: Any = None, *, timeout: float | str | None = None, default: Any = _RAISE
    ) -> Awaitable[Any]:
        """Wait for the next signal of this name that was not read yet, whether it came before or comes later.

        Its value is made into `type`, if one is given; raises `Mismatch` when it does not fit. When none comes within
        `timeout` (seconds, or text such as `"2h"`): raises `SignalTimeout`, or gives `default` if there is one.
        """
        _named("signal", name)
        convert = None if type is None else checker_for(type)
        if timeout is None and convert is None:
            return self._driver.pending_wait(name)
        return self._wait_signal(name, convert, None if timeout is None else seconds(timeout), default)

    async def _wait_signal(self, name: str, convert: Checked | None, timeout_s: float | None, default: Any) -> Any:
        if timeout_s is None:
            value = await self._driver.pending_wait(name)
        else:
            timer = self._driver.pending_sleep(timeout_s, f"{name} timeout"[:200])
            won = await self.race(signal=self._driver.pending_wait(name), timeout=timer)
            if won.which == "timeout":
                if default is _RAISE:
                    raise SignalTimeout(name)
                return default
            value = won.value
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError as exc:
            raise Mismatch(f"signal {name!r}", why(exc)) from None

    def child(
        self,
        workflow: Any,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        on_parent_close: Literal["cancel", "abandon"] = "cancel",
    ) -> Pending:
        """Run another workflow as an execution of its own and wait for its output.

        `workflow` is a `@workflow`, a graph, or the name of a published workflow. It may be run by any worker, and
        goes on when this one is down. Raises `ChildFailed` when it ends without success or cannot be started. Its id
        is derived from this execution's unless given. When this execution ends first, the child is asked to stop, or
        left alone with `on_parent_close="abandon"`.
        """
        name = workflow if isinstance(workflow, str) else getattr(workflow, "name", None)
        if not isinstance(name, str):
            raise BadInput(f"a child is a workflow, a graph or the name of a published one, not {_short(workflow)}")
        if on_parent_close not in ("cancel", "abandon"):
            raise BadInput(f"on_parent_close is cancel or abandon, not {on_parent_close!r}")
        convert = workflow.returns if isinstance(workflow, Workflow) else None
        return self._driver.pending_child(_named("child", name), workflow, workflow_input, id, on_parent_close, convert)

    def now(self) -> datetime:
        """The time, as far as the workflow has heard: that of the last event it was told of. The same on replay."""
        return _EPOCH + timedelta(microseconds=self._driver.now_us)

    def random(self) -> float:
        """A number from [0, 1), the same on replay. It follows from the execution's id: not for secrets."""
        return int.from_bytes(self._driver.draw("random")[:8], "big") / 2**64

    @property
    def rng(self) -> Random:
        """A generator of chance, one for each branch, the same on replay. Not for secrets."""
        return self._driver.rng

    def uuid(self) -> UUID:
        """An id that nobody has, the same on replay. Not for secrets."""
        return UUID(bytes=self._driver.draw("uuid")[:16], version=4)

    def patched(self, patch: str) -> bool:
        """Whether this execution takes the new way at a change of the code that goes by this name.

        True in executions that came here under the changed code, and for ever after in them, which is recorded as
        `patch.marked`; false in those whose record was made by the code before: they go on as they have begun.
        """
        if not patch or not patch.isprintable() or len(patch) > 200:
            raise BadInput(f"the name of a patch is 1 to 200 printable characters, not {patch!r}")
        return self._driver.patched(patch)

    def continue_as_new(self, workflow_input: Any = None) -> NoReturn:
        """End this execution here, and go on as a new one of this workflow with this input: for what never ends.

        The next starts in the same append, its id follows from this one's (`poll`, `poll~1`, …), signals that were not
        read go with it, and whoever waits for the result gets the last one's. What has completed is not undone any
        more; children go on alone, and nobody hears of their end.
        """
        raise ContinueAsNew(workflow_input)
