"""`@step`: functions whose calls inside a workflow are recorded; and their services."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, update_wrapper
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from actum.engine.durations import seconds
from actum.engine.functions.awaited import driving, named
from actum.engine.payloads.classes import PayloadClass, classes_of_function, payload_class_of
from actum.engine.payloads.codec import decoder_for
from actum.engine.resources.needs import needs_of
from actum.engine.rules.budgets import Budget, Estimate
from actum.engine.rules.calls import StepSpec
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import BadInput, near_miss

__all__ = ["Service", "Step", "hints_of", "name_of", "services_of", "short", "spec_of", "step"]

P = ParamSpec("P")
R = TypeVar("R")

_UNDO = Retry(attempts=3)
"""How often a compensation is tried that does not say."""


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
        return decoder_for(hints_of(self.fn).get("return"))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        driver = driving.now
        if driver is None:
            return self.fn(*args, **kwargs)
        pending: Any = driver.pending_step(self.full_spec, args, kwargs, self.convert)
        return typing.cast(R, pending)

    def __repr__(self) -> str:
        return f"<step {self.spec.name}>"


def hints_of(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn)
    except Exception:  # noqa: BLE001 - annotations that cannot be resolved here are taken as plain JSON
        return {}


def name_of(fn: Any) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def spec_of(
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
        raise BadInput(f"step {name_of(fn)!r}: on_doubt='verify' needs a verify function")
    if pivot and compensate is not None:
        raise BadInput(f"step {name_of(fn)!r}: a pivot is not undone, so it takes no compensate")
    if undo_group is not None and compensate is None:
        raise BadInput(f"step {name_of(fn)!r}: undo_group={undo_group!r} is for a step with compensate")
    if undo_group is not None:
        named("group of compensations", undo_group)
    undo: StepSpec | None = None
    if isinstance(compensate, Step):
        undo = compensate.spec if compensate.spec.retry != ONCE else replace(compensate.spec, retry=_UNDO)
    elif compensate is not None:
        undo = StepSpec(named("compensation", name_of(compensate)), compensate, _UNDO)
    return StepSpec(
        named("step", name_of(fn) if name is None else name),
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
    budget: Budget | None = None,
    estimate: Estimate | None = None,
    needs: Mapping[str, int] | None = None,
    breaker: str | None = None,
    priority: int | None = None,
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
    budget: Budget | None = None,
    estimate: Estimate | None = None,
    needs: Mapping[str, int] | None = None,
    breaker: str | None = None,
    priority: int | None = None,
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
    - `budget`: what may have been spent by the execution when this step starts; each of its limits stands in the place
      of the workflow's.
    - `estimate`: what one attempt uses, at most or about. So much is kept of a budget while it is under way, so that
      steps side by side do not overrun it together. Without one it is what this step has used on average so far.
    - `needs`: what of the engine's pools and rate limits an attempt must have before it begins, by name: `{"gpu": 1}`.
      Until then the step is scheduled. `breaker`: the circuit breaker that stands before it. `priority`: its own where
      several wait, in the place of its execution's.

    Raises `BadInput` for a name with `/` or `#` in it, and for a duration, a retry, a class or an amount that is none.
    """

    required = needs_of(needs, breaker, priority)

    def wrap(function: Callable[P, R]) -> Step[P, R]:
        spec = spec_of(
            function, name, retries, timeout, compensate, on_doubt, verify, tool, executor, undo_group, pivot
        )
        asked = services_of(function, services)
        spec = replace(spec, services=asked) if asked else spec
        if budget is not None or estimate is not None:
            whose = f"step {spec.name!r}"
            checked = None if estimate is None else estimate.checked(whose)
            spec = replace(spec, budget=None if budget is None else budget.checked(whose), estimate=checked)
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
                raise BadInput(f"{name_of(fn)!r} has no parameter {name!r} to give a service to{hint}")
    if any("Service" in str(parameter.annotation) for parameter in parameters.values()):
        hints = typing.get_type_hints(fn, include_extras=True)
        for name, hint in hints.items():
            for one in getattr(hint, "__metadata__", ()):
                if isinstance(one, Service):
                    found[name] = one.name
    return found


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
