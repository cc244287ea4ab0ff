"""What stands around the steps of an engine: middleware, and the services that steps are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from actum.engine.rules.calls import StepSpec
from actum.errors import MissingService, near_miss

__all__ = ["Call", "Middleware", "check_services", "dressed", "given_services"]


class Call(Protocol):
    """Calls what the middleware stands around, and gives its result."""

    args: tuple[Any, ...]
    """What the step was called with; of a compensation, the recorded result of what it undoes."""
    kwargs: Mapping[str, Any]

    def __call__(self) -> Awaitable[Any]: ...


class _Call:
    __slots__ = ("_step", "args", "kwargs")

    def __init__(self, step: Callable[[], Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._step = step
        self.args = args
        self.kwargs = kwargs

    def __call__(self) -> Awaitable[Any]:
        return self._step()


class Middleware(Protocol):
    """Stands around every attempt of a step: `async def timed(info, call): … return await call()`.

    `info` is the `StepInfo` of the attempt, `call.args` and `call.kwargs` are what the step was given. What it returns
    is the step's result, what it raises is the attempt's failure, and `call` may be called again, or not at all.
    Nothing of that is recorded but the outcome.
    """

    async def __call__(self, info: Any, call: Call, /) -> Any: ...


def given_services(spec: StepSpec, services: Mapping[str, Any]) -> dict[str, Any]:
    """The services that the step asks for, by parameter. Raises `MissingService`, with the nearest name there is."""
    given: dict[str, Any] = {}
    for parameter, name in spec.services.items():
        if name not in services:
            raise MissingService(spec.name, name, near_miss(name, services))
        given[parameter] = services[name]
    return given


def check_services(specs: Iterable[StepSpec], services: Mapping[str, Any]) -> None:
    """Raise `MissingService` for the first of these steps that asks for what is not there."""
    for spec in specs:
        given_services(spec, services)
        if spec.compensate is not None:
            given_services(spec.compensate, services)


def dressed(
    spec: StepSpec,
    info: Any,
    services: Mapping[str, Any],
    middleware: Iterable[Middleware],
    call: Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]],
) -> StepSpec:
    """The step with its services, and with middleware around it; the first that was added is the outermost.

    `call` runs a function, async or plain, as the engine does.
    """
    run = spec.run
    around = list(middleware)

    async def inside(*args: Any, **kwargs: Any) -> Any:
        given = {**kwargs, **given_services(spec, services)}

        step: Call = _Call(lambda: call(run, args, given), args, given)
        for one in reversed(around):
            step = _Call(partial(one, info, step), args, given)
        return await step()

    return replace(spec, run=inside)
