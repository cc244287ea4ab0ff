"""What stands around the steps of an engine: middleware, and the services that steps are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from actum.engine.rules.calls import StepSpec
from actum.errors import MissingService, near_miss

__all__ = ["Call", "Middleware", "check_services", "dressed", "given_services"]

Call = Callable[[], Awaitable[Any]]
"""Calls what the middleware stands around, and gives its result."""


class Middleware(Protocol):
    """Stands around every attempt of a step: `async def timed(info, call): … return await call()`.

    `info` is the `StepInfo` of the attempt. What it returns is the step's result, what it raises is the attempt's
    failure, and `call` may be called again, or not at all. Nothing of that is recorded but the outcome.
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

        async def innermost() -> Any:
            return await call(run, args, given)

        step: Call = innermost
        for one in reversed(around):
            step = _bound(one, info, step)
        return await step()

    return replace(spec, run=inside)


def _bound(middleware: Middleware, info: Any, call: Call) -> Call:
    async def step() -> Any:
        return await middleware(info, call)

    return step
