"""Where steps run: in the event loop, in threads, in processes of this machine, or further away, by name."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple, Protocol

from actum.engine.rules.calls import StepSpec
from actum.engine.runtime.step_info import StepInfo
from actum.errors import BadInput, near_miss

__all__ = ["Asyncio", "Executor", "Executors", "Job", "Threads", "is_async"]


class Job(NamedTuple):
    """One attempt of a step or of a compensation."""

    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    info: StepInfo
    """What `current_step()` says where the attempt runs."""


class Executor(Protocol):
    """A place where steps run. One engine uses it, from one event loop."""

    def check(self, run: Callable[..., Any]) -> None:
        """Raise `BadInput`, saying why, when it could never run this function. Asked before anything is recorded."""

    async def run(self, job: Job) -> Any:
        """Run it once and give what it returns. What it raises is the attempt's failure.

        Being cancelled means that nobody waits any more: the attempt's time is up, or the engine lets go. Whatever
        can be ended is ended then.
        """

    def close(self) -> None:
        """Let go of everything. Nothing is run any more."""


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await."""
    # Not remembered by function: there are callables that have no hash, and closures that hold much.
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & inspect.CO_COROUTINE:  # nearly always, and ten times as fast
        return True
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


class Asyncio:
    """Async functions, in the engine's event loop. What is cancelled ends where it awaits."""

    def check(self, run: Callable[..., Any]) -> None:
        if not is_async(run):
            raise BadInput(
                f"executor 'asyncio' runs async functions; {_said(run)} is plain, and would block the others"
            )

    async def run(self, job: Job) -> Any:
        return await job.run(*job.args, **job.kwargs)

    def close(self) -> None: ...


class Threads:
    """Plain functions, in threads. One whose time is up is given up, though its thread goes on to its end."""

    def __init__(self, max_threads: int) -> None:
        self._pool = ThreadPoolExecutor(max_threads, thread_name_prefix="actum-step")

    def check(self, run: Callable[..., Any]) -> None:
        if is_async(run):
            raise BadInput(f"executor 'threads' runs plain functions; {_said(run)} is async: leave the executor out")

    async def run(self, job: Job) -> Any:
        call = partial(copy_context().run, _in_thread, job)
        value = await asyncio.get_running_loop().run_in_executor(self._pool, call)
        return await value if inspect.isawaitable(value) else value

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _in_thread(job: Job) -> Any:
    try:
        return job.run(*job.args, **job.kwargs)
    except StopIteration as exc:  # which no future can hold: whoever awaits it would wait for ever
        raise RuntimeError("the step raised StopIteration") from exc


def _said(run: Callable[..., Any]) -> str:
    return repr(getattr(run, "__qualname__", type(run).__qualname__))


def _processes() -> Executor:
    from actum.engine.runtime.executor_process import Processes

    return Processes()


def _ray() -> Executor:
    try:
        from actum.engine.runtime.executor_ray import Ray
    except ImportError as exc:
        raise BadInput(f"executor 'ray' needs the extra 'ray' ({exc}): pip install 'actum[ray]'") from exc
    return Ray()


class Executors:
    """The executors of one engine by name. What is not given is made when it is first asked for.

    A step that names none is run by `asyncio` when it is async, and by `threads` when it is not.
    """

    def __init__(self, given: Mapping[str, Executor], max_threads: int) -> None:
        self._made = dict(given)
        self._makers: dict[str, Callable[[], Executor]] = {
            "asyncio": Asyncio,
            "threads": lambda: Threads(max_threads),
            "process": _processes,
            "ray": _ray,
        }

    def of(self, spec: StepSpec) -> Executor:
        """Where this step runs. Raises `BadInput` when it names an executor that this engine has not."""
        name = spec.executor or ("asyncio" if is_async(spec.run) else "threads")
        executor = self._made.get(name)
        if executor is None:
            maker = self._makers.get(name)
            if maker is None:
                known = sorted({*self._made, *self._makers})
                raise BadInput(
                    f"step {spec.name!r}: this engine has no executor {name!r}{near_miss(name, known)} (it has "
                    f"{', '.join(known)}); give it as Engine(executors={{{name!r}: …}})"
                )
            executor = self._made[name] = maker()
        return executor

    def check(self, spec: StepSpec) -> None:
        """Raise `BadInput` when this engine cannot run the step, or undo it, where it says."""
        for one in (spec, spec.compensate):
            if one is not None and one.executor:
                if one.services and one.executor not in ("asyncio", "threads"):
                    raise BadInput(f"step {one.name!r}: services stay in this process, and it runs in {one.executor!r}")
                try:
                    self.of(one).check(one.run)
                except BadInput as exc:
                    said = str(exc)
                    raise BadInput(said if said.startswith("step ") else f"step {one.name!r}: {said}") from None

    def close(self) -> None:
        for executor in self._made.values():
            executor.close()
