"""The engine on real stores: steps that fail, are tried again, time out or stop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from actum.engine import Engine, Retry, current_step, step, workflow
from actum.errors import StepFailed
from actum.eventstore import Batch, EventStore
from actum.eventstore.memory import MemoryStore
from tests.engine.runtime.running import Order, Receipt, ended, plus_one, run
from tests.engine.world import Between, engine_on, history, really, sound, until, virtually

NOW = Retry(attempts=3, first_delay_s=0)


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_failed_attempt_is_made_again(store: EventStore, kind: str) -> None:
    """The step runs again under the same idempotency key and another number, and its success is the step's."""
    seen: list[tuple[int, str]] = []

    def attempt() -> int:
        me = current_step()
        assert me is not None
        seen.append((me.attempt, me.idempotency_key))
        if len(seen) < 3:
            raise ConnectionError("not yet")
        return len(seen)

    async def attempt_async() -> int:
        return attempt()

    @workflow
    async def flow(ctx: Any) -> Any:
        return await step(name="try", retries=NOW)(attempt_async if kind == "async" else attempt)()

    assert run(store, flow) == 3
    assert [number for number, _ in seen] == [1, 2, 3]
    assert len({key for _, key in seen}) == 1
    assert [word for word in history(store) if "try" in word] == [
        "step.started try#0",
        "step.failed try#0",
        "step.retry_scheduled try#0 (2)",
        "step.started try#0 (2)",
        "step.failed try#0 (2)",
        "step.retry_scheduled try#0 (3)",
        "step.started try#0 (3)",
        "step.completed try#0 (3)",
    ]


def test_a_wait_before_the_next_attempt_takes_its_time() -> None:
    """Attempts come when they are due: one second, then two, by the clock of the world, less the drawn jitter."""
    store = MemoryStore()
    at: list[float] = []

    @step(retries=Retry(attempts=3, first_delay_s=1, jitter=0.5))
    async def attempt() -> None:
        at.append(asyncio.get_running_loop().time())
        raise ConnectionError("never")

    @workflow
    async def flow(ctx: Any) -> None:
        await attempt()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await ended(await engine.start(flow, id="one"))

    error = virtually(main())

    assert error.error_type == "ConnectionError"
    assert at == pytest.approx([0, 0.75, 2.25], abs=0.001)
    sound(store)


def test_a_step_that_takes_too_long_is_timed_out(store: EventStore) -> None:
    """An async step is cancelled, a plain one given up; both are recorded as time-outs and raised as `TimeoutError`."""
    release = threading.Event()
    cancelled: list[bool] = []

    @step(timeout=0.02)
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    @step(timeout=0.02)
    def blocks() -> None:
        release.wait(20)

    @workflow
    async def flow(ctx: Any) -> Any:
        found = await ctx.gather(hangs(), blocks(), return_exceptions=True)
        return [exc.error_type for exc in found]

    try:
        assert run(store, flow) == ["TimeoutError", "TimeoutError"]
    finally:
        release.set()
    assert cancelled == [True]
    assert [e.facts["timeout_us"] for e in store.read(types=["step.timed_out"])] == [20_000, 20_000]


def test_a_time_out_is_retried_like_an_error(store: EventStore) -> None:
    """The second attempt may be in time."""
    count: list[int] = []

    @step(timeout=0.02, retries=NOW)
    async def slow_once() -> int:
        count.append(1)
        if len(count) == 1:
            await asyncio.Event().wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await slow_once()

    assert run(store, flow) == 2


def _stops() -> None:
    next(iter([]))


async def _cancelled() -> None:
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


def _huge() -> None:
    raise ValueError("x" * 1_000_000)


def _not_unicode() -> None:
    raise FileNotFoundError("caf\udce9")


@pytest.mark.parametrize(
    ("fn", "error"),
    [
        (_stops, "RuntimeError"),
        (_cancelled, "CancelledError"),
        (_huge, "ValueError"),
        (_not_unicode, "FileNotFoundError"),
        (lambda: "x" * (65 << 20), "UnrecordableResult"),
        (lambda: object(), "UnrecordableResult"),
    ],
    ids=["StopIteration", "cancelled inside", "huge text", "no unicode", "too large", "no JSON"],
)
def test_whatever_a_step_does_its_execution_ends(store: EventStore, fn: Any, error: str) -> None:
    """Errors that break futures, loops or encodings are failures of the step like any other, and nothing hangs."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.step("odd", fn)

    assert run(store, flow).error_type == error


def test_a_result_that_cannot_be_recorded_is_not_produced_twice(store: EventStore) -> None:
    """The effect has happened; another attempt would only repeat it."""
    count: list[int] = []

    @step(retries=NOW)
    async def large() -> str:
        count.append(1)
        return "x" * (65 << 20)

    @workflow
    async def flow(ctx: Any) -> Any:
        try:
            await large()
        except StepFailed as exc:
            return exc.message

    assert f"over the limit of {store.payload_limit_bytes:,}" in run(store, flow)
    assert len(count) == 1


def test_a_failing_workflow_undoes_what_it_did(store: EventStore) -> None:
    """In reverse order of completion, each with its recorded result; the error is the one that started it."""
    undone: list[Any] = []

    async def refund(receipt: Any) -> None:
        undone.append(receipt)

    @step(compensate=refund)
    async def charge(n: int) -> Receipt:
        return Receipt(Order("tea", n), n)

    @step
    async def ship() -> None:
        raise OSError("no truck")

    @workflow
    async def flow(ctx: Any) -> None:
        await charge(1)
        await charge(2)
        await ship()

    error = run(store, flow)

    assert (error.status, error.error_type, error.message) == ("failed", "OSError", "step 'ship': no truck")
    assert undone == [Receipt(Order("tea", 2), 2), Receipt(Order("tea", 1), 1)]
    assert history(store)[-5:] == [
        "compensation.started charge#1",
        "compensation.completed charge#1",
        "compensation.started charge#0",
        "compensation.completed charge#0",
        "execution.failed",
    ]


def test_a_compensation_is_tried_three_times_then_named(store: EventStore) -> None:
    """Also when it is a step that does not say how often; what could not be undone stands in the end."""
    tried: list[int] = []

    @step(retries=NOW)
    async def stubborn(n: int) -> None:
        tried.append(n)
        raise OSError("no")

    @step(compensate=stubborn)
    async def charge(n: int) -> int:
        return n

    @workflow
    async def flow(ctx: Any) -> None:
        await charge(1)
        raise ValueError("late")

    run(store, flow)

    assert tried == [1, 1, 1]
    (end,) = store.read(types=["execution.failed"])
    assert end.facts["uncompensated"] == ["charge#0"]


def test_a_compensation_that_does_not_say_how_often_is_tried_again() -> None:
    """A step as compensation is retried even if, as a step, it would not be."""
    store = MemoryStore()
    tried: list[int] = []

    @step
    async def stubborn(n: int) -> None:
        tried.append(n)
        if len(tried) < 3:
            raise OSError("no")

    @step(compensate=stubborn)
    async def charge(n: int) -> int:
        return n

    @workflow
    async def flow(ctx: Any) -> None:
        await charge(1)
        raise ValueError("late")

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await ended(await engine.start(flow, id="one"))

    virtually(main())

    assert len(tried) == 3
    assert history(store)[-2:] == ["compensation.completed charge#0 (3)", "execution.failed"]
    sound(store)


def test_a_compensation_whose_argument_does_not_fit_is_named(store: EventStore) -> None:
    """A result that is not what the step declares cannot be handed on: loudly uncompensated, never stuck."""

    async def refund(receipt: Receipt) -> None: ...

    @step(compensate=step(retries=Retry(attempts=1, jitter=0.1))(refund))
    async def charge() -> Receipt:
        return {"number": "many"}  # type: ignore[return-value]

    @workflow
    async def flow(ctx: Any) -> None:
        await charge()

    assert run(store, flow).error_type == "ValidationError"
    (end,) = store.read(types=["execution.failed"])
    assert end.facts["uncompensated"] == ["charge#0"]


def test_a_branch_still_running_when_the_workflow_fails_is_waited_for_and_undone(store: EventStore) -> None:
    """What it did is undone too; what it would have done next is not done."""
    failed, undone = asyncio.Event(), []

    async def undo(n: int) -> None:
        undone.append(n)

    @step(compensate=undo)
    async def slow() -> int:
        await failed.wait()
        return 1

    @step
    async def fails() -> None:
        raise ValueError("boom")

    async def branch() -> None:
        await slow()
        await plus_one(1)

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.gather(branch(), fails())

    async def main() -> Any:
        async with Engine(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "step.failed fails#0" in history(store))
            assert not handle.done
            failed.set()
            return await ended(handle)

    assert really(main()).error_type == "ValueError"
    assert undone == [1]
    assert not [word for word in history(store) if "plus_one" in word]


def test_a_step_in_back_off_is_given_up_when_the_workflow_fails() -> None:
    """The end does not wait an hour for an attempt that nobody needs, and that attempt never comes."""
    store = MemoryStore()
    count: list[int] = []

    @step(retries=Retry(attempts=5, first_delay_s=1, max_delay_s=3600))
    async def flaky() -> None:
        count.append(1)
        raise ConnectionError

    async def undo(_: Any) -> None:
        await asyncio.sleep(30)  # of virtual time: the next attempt would be due meanwhile

    @step(compensate=undo)
    async def charge() -> None: ...

    @step
    async def fails() -> None:
        await asyncio.sleep(0.5)
        raise ValueError("boom")

    @workflow
    async def flow(ctx: Any) -> None:
        await charge()
        await ctx.gather(flaky(), fails())

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await ended(await engine.start(flow, id="one"))

    assert virtually(main()).error_type == "ValueError"
    assert len(count) == 1
    sound(store)


def test_an_error_inside_the_engine_is_the_waiters_and_nobody_elses() -> None:
    """An answer that makes no sense ends one run in memory; the others get theirs, and the record is as it was."""
    inner = MemoryStore()

    def strange(number: int, batch: Batch) -> Exception | None:
        started = batch[0].stream == "execution/odd" and batch[0].events[0].type == "step.completed"
        return RuntimeError("a bug") if started else None

    store: Any = Between(inner, strange)

    @workflow
    async def flow(ctx: Any) -> int:
        return await plus_one(1)

    async def main() -> None:
        async with engine_on(store) as engine:
            odd, even = await engine.start(flow, id="odd"), await engine.start(flow, id="even")
            assert await even.result() == 2
            with pytest.raises(RuntimeError, match="a bug"):
                await odd.result()

    virtually(main())
    sound(inner)
