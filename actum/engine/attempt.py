"""Carrying out one attempt of a step or of a compensation, and saying what became of it as a command."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextvars import ContextVar, copy_context
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from actum.engine.calls import Failure, StepSpec
from actum.engine.codec import encode
from actum.engine.function import failure_of
from actum.errors import BadInput

__all__ = ["Ended", "StepInfo", "carry_out", "current_step"]


class StepInfo(NamedTuple):
    """What a running step may know of itself."""

    execution: str
    key: str
    attempt: int

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step in this execution: hand it to whatever can recognise a repeat."""
        return sha256(f"{self.execution}\n{self.key}".encode()).hexdigest()[:32]


_current: ContextVar[StepInfo | None] = ContextVar("actum_step", default=None)


def current_step() -> StepInfo | None:
    """The step that this code runs in; None outside of one."""
    return _current.get()


class Ended(NamedTuple):
    """How an attempt ended: `failure` is None when it returned; `timed_out` when it was given up."""

    duration_us: int
    result: bytes | None = None
    failure: Failure | None = None
    timed_out: bool = False


def _is_async(fn: Callable[..., Any]) -> bool:
    # Not remembered by function: there are callables that have no hash, and closures that hold much.
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & inspect.CO_COROUTINE:  # nearly always, and ten times as fast
        return True
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


async def carry_out(
    spec: StepSpec,
    info: StepInfo,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    threads: Executor,
    limit_bytes: int,
) -> Ended:
    """Run the step's function once. Raises nothing but cancellation and the end of the process.

    A result of more than `limit_bytes` is a failure: it cannot be recorded. A plain function runs in a thread; when
    its time is up it is given up, though the thread cannot be stopped.
    """
    started = time.perf_counter_ns()
    _current.set(info)  # this task's own context: nobody else sees it
    given = kwargs or {}
    limit: asyncio.Timeout | None = None
    failure: Failure | None = None
    result: bytes | None = None
    try:
        if spec.timeout_s is None:
            value = await (spec.run(*args, **given) if _is_async(spec.run) else _call(spec.run, args, given, threads))
        else:
            async with asyncio.timeout(spec.timeout_s) as limit:
                value = await _call(spec.run, args, given, threads)
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
    return Ended(took, result, failure, failure is not None and limit is not None and limit.expired())


async def _call(run: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], threads: Executor) -> Any:
    if _is_async(run):
        return await run(*args, **kwargs)
    call = partial(copy_context().run, _in_thread, run, args, kwargs)
    value = await asyncio.get_running_loop().run_in_executor(threads, call)
    return await value if inspect.isawaitable(value) else value


def _in_thread(run: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    try:
        return run(*args, **kwargs)
    except StopIteration as exc:  # which no future can hold: whoever awaits it would wait for ever
        raise RuntimeError("the step raised StopIteration") from exc
