"""Carrying out one attempt of a step or of a compensation, and saying what became of it as a command."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from actum.engine.functions.outcomes import failure_of
from actum.engine.payloads.codec import encode
from actum.engine.rules.calls import Failure, StepSpec
from actum.engine.rules.usage import used_facts
from actum.engine.runtime.around import Middleware, dressed
from actum.engine.runtime.executors import Executors, Job, is_async
from actum.engine.runtime.far import FailedThere
from actum.engine.runtime.step_info import StepInfo, current_step, running
from actum.errors import BadInput, Incomplete

__all__ = ["Ended", "StepInfo", "carry_out", "current_step"]


class Ended(NamedTuple):
    """How an attempt ended: `failure` is None when it returned; `timed_out` when it was given up."""

    duration_us: int
    result: bytes | None = None
    failure: Failure | None = None
    timed_out: bool = False
    used: dict[str, Any] | None = None
    """What it has reported to have used, as facts."""


async def carry_out(
    spec: StepSpec,
    info: StepInfo,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    executors: Executors,
    limit_bytes: int,
    middleware: Sequence[Middleware] = (),
) -> Ended:
    """Run the step's function once. Raises nothing but cancellation and the end of the process.

    `middleware` stands around it. A result of more than `limit_bytes` is a failure: it cannot be recorded. When its
    time is up the attempt is given up; whether what it does ends too depends on the executor.
    """
    started = time.perf_counter_ns()
    running.set(info)  # this task's own context: nobody else sees it
    given = kwargs or {}
    limit: asyncio.Timeout | None = None
    failure: Failure | None = None
    result: bytes | None = None
    try:
        if middleware or spec.services:
            work = _around(spec, info, args, given, executors, middleware)
        elif spec.executor or not is_async(spec.run):
            work = executors.of(spec).run(Job(spec.run, args, given, info))
        else:
            work = spec.run(*args, **given)
        try:
            if spec.timeout_s is None:
                value = await work
            else:
                async with asyncio.timeout(spec.timeout_s) as limit:
                    value = await work
        except Incomplete as exc:  # no failure: it has come as far as it can
            value = exc
        if isinstance(value, Incomplete):
            value = so_far(value)
    except FailedThere as exc:
        failure = exc.failure
    except Exception as exc:  # noqa: BLE001 - the step's failure is what is being recorded
        failure = failure_of(exc)
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        failure = failure_of(exc)  # nobody cancelled this attempt: the step awaited something that was cancelled
    else:
        try:
            result = encode(value, f"the result of step {spec.name!r}", limit_bytes)
        except BadInput as exc:
            failure = Failure("UnrecordableResult", str(exc))
    took = (time.perf_counter_ns() - started) // 1000
    timed_out = failure is not None and limit is not None and limit.expired()
    return Ended(took, result, failure, timed_out, used_facts(info.reported) if info.reported else None)


def _around(
    spec: StepSpec,
    info: StepInfo,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    executors: Executors,
    middleware: Sequence[Middleware],
) -> Awaitable[Any]:
    """The step with its services, and with middleware around it, wherever it runs."""

    async def call(run: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if spec.executor or not is_async(run):
            return await executors.of(spec).run(Job(run, args, kwargs, info))
        return await run(*args, **kwargs)

    work: Awaitable[Any] = dressed(spec, info, info.services, middleware, call).run(*args, **kwargs)
    return work


def so_far(incomplete: Incomplete) -> dict[str, Any]:
    """How it is recorded that a step needs more input."""
    return {"status": "incomplete", "incomplete": True, "output": incomplete.output}
