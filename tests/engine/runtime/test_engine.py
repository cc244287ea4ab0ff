"""The engine on real stores: what it runs and records, and what it does when the store or another worker interferes."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Engine, Retry, current_step, step, workflow
from actum.errors import (
    ApprovalRejected,
    BadInput,
    ExecutionFailed,
    ExecutionParked,
    Fenced,
    NotWaiting,
    OwnedElsewhere,
    StepFailed,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    UnknownExecution,
)
from actum.eventstore import Batch, EventStore, open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.world import Between, brief, engine_on, history, really, sound, until, virtually

NOW = Retry(attempts=3, first_delay_s=0)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """A fresh store of each kind; whatever a test does, the log is sound when the dust has settled."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/log.db"}
    if request.param == "postgresql":
        urls["postgresql"] = f"{request.getfixturevalue('postgres')}?lease=0.5"
    store = open_store(urls[request.param])
    yield store
    sound(store)
    store.close()


@dataclass
class Order:
    item: str
    amount: int


@dataclass
class Receipt:
    order: Order
    number: int


@step
async def plus_one(x: int) -> int:
    return x + 1


def run(store: EventStore, flow: Any, given: Any = None, *, id: str = "one") -> Any:
    """Run to the end, in real time; a failed execution gives its error."""

    async def main() -> Any:
        async with Engine(store) as engine:
            return await ended(await engine.start(flow, given, id=id))

    return really(main())


async def ended(handle: Any) -> Any:
    try:
        return await handle.result()
    except (ExecutionFailed, ExecutionParked, Fenced) as exc:
        return exc


# -- to the end ------------------------------------------------------------------------------------------------------


def test_a_workflow_runs_to_its_end(store: EventStore) -> None:
    """Each step is recorded before and after, and the end of one and the start of the next stand side by side."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return await plus_one(await plus_one(x))

    assert run(store, flow, 5) == 7
    assert history(store) == [
        "execution.started",
        "step.started plus_one#0",
        "step.completed plus_one#0",
        "step.started plus_one#1",
        "step.completed plus_one#1",
        "execution.completed",
    ]
    (row,) = store.view("executions")
    assert (row["status"], row["waiting_for"], row["wake_us"]) == ("completed", None, None)


def test_inputs_and_outputs_are_typed(store: EventStore) -> None:
    """Workflow and step get and give what they declare, live as on replay."""

    @step
    async def buy(order: Order) -> Receipt:
        return Receipt(order, 7)

    @workflow
    async def flow(ctx: Any, order: Order) -> Receipt:
        assert isinstance(order, Order)
        receipt = await buy(order)
        assert isinstance(receipt, Receipt)
        return receipt

    assert run(store, flow, Order("tea", 2)) == {"order": {"item": "tea", "amount": 2}, "number": 7}


def test_plain_functions_run_in_threads(store: EventStore) -> None:
    """A blocking step never holds up the event loop, and knows which step it is."""

    @step
    def where() -> list[str]:
        me = current_step()
        assert me is not None
        return [threading.current_thread().name, me.key]

    @workflow
    async def flow(ctx: Any) -> Any:
        return await where()

    thread, key = run(store, flow)

    assert thread.startswith("actum-step")
    assert key == "where#0"


def test_any_function_can_be_a_step(store: EventStore) -> None:
    """`ctx.step` needs no decorator, and takes what a plain function returns to be awaited as well."""

    async def later(x: int) -> int:
        return x * 2

    @workflow
    async def flow(ctx: Any) -> Any:
        return [await ctx.step("double", lambda: later(4)), await ctx.step("other", plus_one, 1)]

    assert run(store, flow) == [8, 2]
    assert "step.completed other#0" in history(store)


@dataclass
class Fetch:
    """A callable that cannot be hashed, as no dataclass can."""

    url: str

    def __call__(self) -> str:
        return self.url


@dataclass
class FetchLater(Fetch):
    async def __call__(self) -> str:  # type: ignore[override]
        return self.url


@pytest.mark.parametrize("kind", [Fetch, FetchLater])
def test_any_callable_can_be_a_step(store: EventStore, kind: type[Fetch]) -> None:
    """An object with a `__call__` will do, and the engine lets go of it when the step has run."""
    called: list[weakref.ref[Fetch]] = []

    @workflow
    async def flow(ctx: Any) -> Any:
        fetch = kind("here")
        called.append(weakref.ref(fetch))
        return await ctx.step("fetch", fetch)

    assert run(store, flow) == "here"
    gc.collect()
    assert [ref() for ref in called] == [None]


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_parallel_branches_overlap(store: EventStore, kind: str) -> None:
    """Three steps that wait for each other can only end if they run at the same time, and the log shows it."""
    together, in_threads = asyncio.Barrier(3), threading.Barrier(3, timeout=20)

    @step(name="meet")
    async def meet() -> None:
        await together.wait()

    @step(name="meet")
    def meet_in_threads() -> None:
        in_threads.wait()

    @workflow
    async def flow(ctx: Any) -> None:
        one = meet if kind == "async" else meet_in_threads
        await ctx.gather(one(), one(), one())

    run(store, flow)

    assert [word.partition(" ")[0] for word in history(store)[1:7]] == ["step.started"] * 3 + ["step.completed"] * 3


def test_executions_side_by_side_do_not_meet(store: EventStore) -> None:
    """Fifty executions in one engine each come to their own end."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return sum(await ctx.gather(plus_one(x), plus_one(x)))

    async def main() -> list[Any]:
        async with Engine(store) as engine:
            handles = [await engine.start(flow, n, id=f"n{n}") for n in range(50)]
            return await asyncio.gather(*(handle.result() for handle in handles))

    assert really(main()) == [2 * (n + 1) for n in range(50)]


# -- failures --------------------------------------------------------------------------------------------------------


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


# -- starting and resuming -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [{"item": "tea"}, {"item": "tea", "amount": "many"}, 5, None, object(), "x" * 300_000],
    ids=["missing", "wrong-type", "number", "none", "object", "too-long"],
)
def test_a_bad_input_writes_nothing(store: EventStore, given: Any) -> None:
    """Not the start, not even the definition: the log is as empty as it was."""

    @workflow
    async def flow(ctx: Any, order: Order) -> None: ...

    async def main() -> None:
        async with Engine(store) as engine:
            with pytest.raises(BadInput):
                await engine.start(flow, given, id="one")

    really(main())
    assert store.head() == 0


@pytest.mark.parametrize("id_", ["a/b", "x" * 201, "a\nb"], ids=["slash", "long", "newline"])
def test_a_bad_id_writes_nothing(store: EventStore, id_: str) -> None:
    """An id must be fit for a stream's name."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    async def main() -> None:
        async with Engine(store) as engine:
            with pytest.raises(BadInput, match="1 to 200"):
                await engine.start(flow, id=id_)

    really(main())
    assert store.head() == 0


def test_starting_a_known_id_attaches_to_it(store: EventStore) -> None:
    """Running, ended or left behind: the same id is the same execution, and nothing runs twice."""
    go, count = asyncio.Event(), []

    @step
    async def once() -> int:
        count.append(1)
        await go.wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await once()

    async def main() -> None:
        async with Engine(store) as engine:
            first = await engine.start(flow, id="one")
            second = await engine.start(flow, id="one")
            go.set()
            assert [await first.result(), await second.result()] == [1, 1]
            third = await engine.start(flow, id="one")
            assert third.done
            assert await third.result() == 1
        async with Engine(store) as other:
            assert await (await other.start(flow, id="one")).result() == 1

    really(main())
    assert history(store).count("execution.started") == 1
    assert "execution.claimed" not in history(store)


def test_the_definition_is_published_once(store: EventStore) -> None:
    """Executions name the digest of their code, and the log has the code under it."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    for id_ in ("one", "two"):
        run(store, flow, id=id_)

    (published,) = store.read(types=["workflow.published"])
    assert published.facts["definition"] == flow.definition
    assert "async def flow" in published.value()["source"]


def test_an_unknown_execution_is_named_with_a_hint(store: EventStore) -> None:
    """Resuming what is not there says so, and what it may have meant."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    async def main() -> None:
        async with Engine(store) as engine:
            await (await engine.start(flow, id="order-17")).result()
            with pytest.raises(UnknownExecution, match="did you mean 'order-17'"):
                await engine.resume("order-71")

    really(main())


def test_what_a_living_worker_runs_is_left_to_it(tmp_path: Path) -> None:
    """A second engine on the same file neither resumes nor recovers it, until the first has let go."""
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    go = asyncio.Event()

    @step
    async def waits() -> int:
        await go.wait()
        return 1

    @workflow
    async def flow(ctx: Any) -> int:
        return await waits()

    async def main() -> None:
        async with Engine(store) as second:
            second.register(flow)
            async with Engine(store) as first:
                await first.start(flow, id="one")
                await until(lambda: history(store)[1:] == ["step.started waits#0"])
                with pytest.raises(OwnedElsewhere):
                    await second.resume("one")
                assert await second.recover() == ([], {})
            go.set()
            (handle,), refused = await second.recover()
            assert (await handle.result(), refused) == (1, {})

    really(main())
    assert history(store)[2:] == [
        "execution.claimed",
        "step.in_doubt waits#0",
        "step.started waits#0 (2)",
        "step.completed waits#0 (2)",
        "execution.completed",
    ]
    sound(store)
    store.close()


def test_recovery_goes_on_past_what_cannot_be_recovered(store: EventStore) -> None:
    """One that diverged, one without code and one that is fine: the fine one finishes, the others are named."""
    go = asyncio.Event()

    @step
    async def waits(x: Any = None) -> int:
        await go.wait()
        return 1

    @workflow(name="fine")
    async def fine(ctx: Any) -> int:
        return await waits()

    @workflow(name="changed")
    async def before(ctx: Any) -> int:
        return await waits()

    @workflow(name="changed")
    async def after(ctx: Any) -> int:
        return await plus_one(1)

    @workflow(name="gone")
    async def gone(ctx: Any) -> int:
        return await waits()

    async def main() -> None:
        async with Engine(store) as first:
            for flow in (before, gone, fine):
                await first.start(flow, id=flow.name)
            await until(lambda: sum("step.started" in w for w in map(brief, store.read())) == 3)
        go.set()
        async with Engine(store) as second:
            second.register(fine, after)
            (handle,), refused = await second.recover()
            assert await handle.result() == 1
            assert {id_: type(exc).__name__ for id_, exc in refused.items()} == {
                "changed": "ReplayDiverged",
                "gone": "NoCode",
            }

    really(main())
    assert history(store, "changed")[2:] == ["replay.diverged", "execution.parked"]
    assert len(history(store, "gone")) == 2


def test_an_engine_recovers_what_it_had_to_let_go_of() -> None:
    """When the store was away for too long, the same engine takes its own back, once it is there again."""
    inner = MemoryStore()
    away: list[int] = []

    def sometimes(number: int, batch: Batch) -> Exception | None:
        return Between.LOST if away else None

    store: Any = Between(inner, sometimes)
    count: list[int] = []

    @step
    async def leave() -> int:
        if not count:
            away.append(1)
        count.append(1)
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await leave()

    async def main() -> None:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            with pytest.raises(StoreUnavailable):
                await handle.result()
            away.clear()
            (again,), refused = await engine.recover()
            assert (await again.result(), refused) == (2, {})

    virtually(main())
    sound(inner)


def test_leaving_an_engine_runs_nothing_of_what_it_lets_go(store: EventStore) -> None:
    """A workflow's `finally` is no step of a closed engine: it is run, recorded, by the next one."""
    cleaned: list[int] = []
    go = asyncio.Event()

    @step
    def clean_up() -> None:
        cleaned.append(1)

    @step
    async def waits() -> int:
        await go.wait()
        return 1

    @workflow
    async def flow(ctx: Any) -> int:
        try:
            return await waits()
        finally:
            await clean_up()

    async def main() -> None:
        async with Engine(store) as first:
            await first.start(flow, id="one")
            await until(lambda: len(history(store)) == 2)
        assert cleaned == []
        go.set()
        async with Engine(store) as second:
            second.register(flow)
            assert await (await second.resume("one")).result() == 1

    really(main())
    assert cleaned == [1]
    assert history(store)[-3:] == ["step.started clean_up#0", "step.completed clean_up#0", "execution.completed"]


# -- attempts in doubt -----------------------------------------------------------------------------------------------


def in_doubt(store: EventStore, flow: Any, running: list[int], then: Any) -> Any:
    """Let an engine go once its first step is `running`, and give the next one to `then`."""

    async def main() -> Any:
        async with Engine(store) as first:
            await first.start(flow, id="one")
            await until(lambda: running)
        async with Engine(store, worker="w-2") as second:
            second.register(flow)
            return await then(second, await second.resume("one"))

    return really(main())


async def _result(_: Engine, handle: Any) -> Any:
    return await ended(handle)


@pytest.mark.parametrize(("found", "output"), [(41, 41), (None, 7)], ids=["happened", "did not"])
def test_a_step_in_doubt_is_verified_by_its_hook(store: EventStore, found: Any, output: int) -> None:
    """The hook gets the step's arguments: what it finds is the result, and if it finds nothing the step runs again."""
    count: list[int] = []

    async def look(n: int) -> Any:
        return found

    @step(on_doubt="verify", verify=look)
    async def charge(n: int) -> int:
        count.append(n)
        if len(count) == 1:
            await asyncio.Event().wait()
        return n

    @workflow
    async def flow(ctx: Any) -> int:
        return await charge(7)

    assert in_doubt(store, flow, count, _result) == output
    assert count == ([7] if found else [7, 7])
    assert history(store)[2:4] == ["execution.claimed", "step.in_doubt charge#0"]


def test_a_hook_that_fails_parks_the_execution(store: EventStore) -> None:
    """Nobody knows whether it happened: that is recorded, and a person's resuming runs the step again."""

    async def look() -> None:
        raise ConnectionError("no route")

    count: list[int] = []

    @step(on_doubt="verify", verify=look)
    async def charge() -> int:
        count.append(1)
        if len(count) == 1:
            await asyncio.Event().wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await charge()

    async def then(engine: Engine, handle: Any) -> Any:
        assert isinstance(await ended(handle), ExecutionParked)
        assert await engine.recover() == ([], {})
        (parked,) = store.read(types=["execution.parked"])
        assert parked.value() == {"detail": "asking whether it happened failed: ConnectionError: no route"}
        return await ended(await engine.resume("one"))

    assert in_doubt(store, flow, count, then) == 2


def test_a_dangerous_step_in_doubt_parks_the_execution(store: EventStore) -> None:
    """It is not repeated by itself; any worker may go on once a person says so, though the one that parked it lives."""
    count: list[int] = []

    @step(on_doubt="park")
    async def pay() -> int:
        count.append(1)
        if len(count) == 1:
            await asyncio.Event().wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await pay()

    async def then(engine: Engine, handle: Any) -> Any:
        error = await ended(handle)
        assert isinstance(error, ExecutionParked)
        assert "'pay' is in doubt" in str(error)
        assert len(count) == 1
        (row,) = store.view("executions")
        assert row["status"] == "parked"
        async with Engine(store, worker="w-3") as third:
            third.register(flow)
            return await ended(await third.resume("one"))

    assert in_doubt(store, flow, count, then) == 2


def test_a_compensation_cut_off_is_begun_again(store: EventStore) -> None:
    """An engine that goes in the middle of undoing leaves it to the next, which undoes all that is left."""
    undone: list[int] = []
    go = asyncio.Event()

    async def undo(n: int) -> None:
        undone.append(n)
        if n == 1:
            await go.wait()

    @step(compensate=undo)
    async def charge(n: int) -> int:
        return n

    @workflow
    async def flow(ctx: Any) -> None:
        await charge(0)
        await charge(1)
        raise ValueError("boom")

    async def main() -> Any:
        async with Engine(store) as first:
            await first.start(flow, id="one")
            await until(lambda: undone == [1])
        go.set()
        async with Engine(store) as second:
            second.register(flow)
            return await ended(await second.resume("one"))

    assert really(main()).error_type == "ValueError"
    assert undone == [1, 1, 0]


# -- people ----------------------------------------------------------------------------------------------------------


@step
async def ship(x: Any = None) -> str:
    return "shipped"


@workflow(name="guarded")
async def guarded(ctx: Any, deadline: float | None = None) -> Any:
    try:
        decision = await ctx.approve(Approval("Ship?", context={"to": "Rome"}, name="ok", deadline_s=deadline))
    except ApprovalRejected as exc:
        return [exc.outcome, exc.by, exc.comment]
    return [await ship(), decision["by"], decision["comment"]]


async def asked(store: EventStore) -> None:
    await until(lambda: store.view("approvals", {"status": "waiting"}))


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "rejected"])
@pytest.mark.parametrize("by", ["the same engine", "another engine", "another process"])
def test_an_approval_waits_for_a_person(store: EventStore, granted: bool, by: str) -> None:
    """Nothing starts before the decision is recorded, whoever records it; then the workflow hears of it."""
    if by == "another process" and store.url == "memory://":
        pytest.skip("no other process sees this store")

    async def main() -> Any:
        async with Engine(store) as engine, Engine(store) as other:
            handle = await engine.start(guarded, id="one")
            await asked(store)
            assert not [word for word in history(store) if "ship" in word]
            if by == "another process":
                say = "granted=True" if granted else "granted=False"
                program = (
                    "from actum.engine.runtime.approvals import answer_approval\n"
                    "from actum.engine.runtime.ports import World\n"
                    "from actum.eventstore import open_store\n"
                    f"store = open_store({store.url!r})\n"
                    f"answer_approval(store, World(), 'one', 'ok', {say}, by='p-1', comment='so be it')\n"
                    "store.close()"
                )
                await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True, timeout=30)
            else:
                decider = engine if by == "the same engine" else other
                decide = decider.approve if granted else decider.reject
                await decide("one", "ok", by="p-1", comment="so be it")
            return await handle.result()

    assert really(main()) == ["shipped" if granted else "rejected", "p-1", "so be it"]
    decision = f"approval.{'granted' if granted else 'rejected'} ok#0"
    words = history(store)
    assert words[:3] == ["execution.started", "approval.requested ok#0", decision]
    (row,) = store.view("approvals")
    assert row["status"] == decision.split()[0].partition(".")[2]


def test_a_decision_made_while_nobody_runs_it_is_heard_later(store: EventStore) -> None:
    """Waiting holds no process: the next engine to take the execution on finds the decision in the log."""

    async def main() -> Any:
        async with Engine(store) as first:
            await first.start(guarded, id="one")
            await asked(store)
        async with Engine(store) as nobody:
            await nobody.approve("one", "ok", by="p-1")
        async with Engine(store) as second:
            second.register(guarded)
            return await (await second.resume("one")).result()

    assert really(main()) == ["shipped", "p-1", ""]
    assert history(store)[2:4] == ["approval.granted ok#0", "execution.claimed"]


def test_a_decision_counts_once(store: EventStore) -> None:
    """The second person hears that it was decided, and nothing is written."""

    async def main() -> None:
        async with Engine(store) as engine:
            handle = await engine.start(guarded, id="one")
            await asked(store)
            await engine.approve("one", "ok", by="p-1")
            with pytest.raises(NotWaiting):
                await engine.reject("one", "ok#0", by="p-2")
            with pytest.raises(NotWaiting):
                await engine.approve("one", "other", by="p-2")
            with pytest.raises(UnknownExecution):
                await engine.approve("other", "ok", by="p-2")
            with pytest.raises(BadInput):
                await engine.approve("one", "ok", by="")
            await handle.result()

    really(main())
    assert [word for word in history(store) if word.startswith("approval")][1:] == ["approval.granted ok#0"]


@pytest.mark.parametrize("comment", ["\ud800", "x" * 300_000], ids=["no unicode", "too large"])
def test_a_comment_that_cannot_be_recorded_is_refused(store: EventStore, comment: str) -> None:
    """The person hears of it, and the question stays open."""

    async def main() -> None:
        async with Engine(store) as engine:
            await engine.start(guarded, id="one")
            await asked(store)
            with pytest.raises(BadInput, match="the comment"):
                await engine.approve("one", "ok", by="p-1", comment=comment)

    really(main())
    assert store.view("approvals")[0]["status"] == "waiting"


def test_silence_is_no_at_the_deadline() -> None:
    """By the world's clock, to the instant, and nobody's act."""
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(guarded, 60, id="one")).result()

    assert virtually(main()) == ["expired", "the deadline", ""]
    requested, expired = (e for e in store.read_stream("execution/one") if e.type.startswith("approval"))
    assert requested.facts["deadline"] == expired.at
    assert expired.facts["waited_us"] == 60_000_000
    sound(store)


# -- timers ----------------------------------------------------------------------------------------------------------


@workflow(name="naps")
async def naps(ctx: Any) -> Any:
    await ctx.gather(ctx.sleep(10, "short"), ctx.sleep("1m", "long"))
    return "awake"


def test_a_sleep_lasts_as_long_as_it_says() -> None:
    """Side by side, each to its own due time."""
    store = MemoryStore()

    async def main() -> float:
        async with engine_on(store) as engine:
            await (await engine.start(naps, id="one")).result()
            return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(60, abs=0.001)
    assert history(store)[3:5] == ["timer.fired short#0", "timer.fired long#0"]
    sound(store)


def test_a_restart_does_not_prolong_a_sleep() -> None:
    """What was due while nobody was there fires at once, late by what it is late; the rest when it is due."""
    store = MemoryStore()

    async def main() -> float:
        async with engine_on(store) as first:
            await first.start(naps, id="one")
            await asyncio.sleep(5)
        await asyncio.sleep(20)
        async with engine_on(store) as second:
            second.register(naps)
            await (await second.resume("one")).result()
            return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(60, abs=0.001)
    late = [e.facts["late_us"] for e in store.read(types=["timer.fired"])]
    assert late == [15_000_000, pytest.approx(0, abs=1000)]
    sound(store)


# -- a store that fails ----------------------------------------------------------------------------------------------


async def _undo(x: Any) -> None: ...


@step(compensate=_undo)
async def reserve(n: int) -> int:
    return n


@step(retries=Retry(attempts=2, first_delay_s=1))
async def flaky() -> int:
    me = current_step()
    assert me is not None
    if me.attempt == 1:
        raise ConnectionError("once")
    return me.attempt


@workflow(name="eventful")
async def eventful(ctx: Any, fail: bool) -> Any:
    first = await reserve(1)
    rest = await ctx.gather(reserve(2), flaky(), ctx.sleep(3))
    if fail:
        raise ValueError("boom")
    return [first, *rest]


def eventfully(store: Any, fail: bool) -> Any:
    """Run the eventful workflow in virtual time; a start whose answer was lost is asked for again."""

    async def main() -> Any:
        async with engine_on(store) as engine:
            try:
                handle = await engine.start(eventful, fail, id="one")
            except StoreUnavailable:
                handle = await engine.start(eventful, fail, id="one")
            return await ended(handle)

    found = virtually(main())
    return (found.status, found.error_type) if isinstance(found, ExecutionFailed) else found


@pytest.mark.parametrize("fail", [False, True], ids=["completes", "fails"])
@pytest.mark.parametrize("fault", [Between.LOST, Between.LANDED], ids=["lost", "landed"])
def test_an_append_without_an_answer_changes_nothing(fail: bool, fault: Exception) -> None:
    """Whichever append of the run it is, before or after it landed: same events, each once, same end, same views."""
    calm = MemoryStore()
    counter: Any = Between(calm, lambda number, batch: None)
    wanted = eventfully(counter, fail)
    assert wanted == (("failed", "ValueError") if fail else [1, 2, 2, None])
    assert counter.count > 6

    for nth in range(1, counter.count + 1):
        inner = MemoryStore()
        faulty: Any = Between(inner, lambda number, batch, nth=nth: fault if number == nth else None)  # type: ignore[misc]
        assert eventfully(faulty, fail) == wanted
        assert sorted(history(inner)) == sorted(history(calm))
        sound(inner)


def test_a_store_that_refuses_for_a_while_is_waited_for() -> None:
    """A locked or full store is never a step's failure."""
    inner = MemoryStore()
    refusal = StoreRefused("memory://", "the disk is full")
    store: Any = Between(inner, lambda number, batch: refusal if 3 <= number <= 7 else None)

    assert eventfully(store, False) == [1, 2, 2, None]
    assert not [e for e in inner.read(types=["step.failed"]) if e.facts["error_type"] != "ConnectionError"]
    sound(inner)


def test_a_store_that_stays_away_lets_go_of_the_execution() -> None:
    """After half a minute the waiter is told; nothing was recorded that did not happen."""
    inner = MemoryStore()
    store: Any = Between(inner, lambda number, batch: Between.LOST if number > 3 else None)

    with pytest.raises(StoreUnavailable):
        eventfully(store, False)

    sound(inner)


# -- others that write -----------------------------------------------------------------------------------------------


@workflow(name="busy")
async def busy(ctx: Any) -> Any:
    async def work() -> int:
        total = 0
        for n in range(3):
            total += await counted(n)
        return total

    decisions = await ctx.gather(ctx.approve(Approval("?", name="ok")), work(), ctx.approve(Approval("?", name="late")))
    return [decisions[1], await counted(9)]


COUNTED: list[int] = []


@step
async def counted(n: int) -> int:
    COUNTED.append(n)
    await asyncio.sleep(0.01)
    return n


@pytest.mark.parametrize("nth", range(3, 6))
def test_an_answer_from_outside_in_the_middle_costs_nothing(nth: int) -> None:
    """Whichever append it comes just ahead of: the conflict is absorbed, no result is lost, and no step runs twice."""
    COUNTED.clear()
    inner = MemoryStore()
    outside = somebody(inner)

    def person(number: int, batch: Batch) -> Exception | None:
        if number == nth:
            outside("one", "ok")
        return None

    store: Any = Between(inner, person)

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(busy, id="one")
            await until(lambda: inner.view("approvals", {"status": "granted"}))
            await engine.approve("one", "late", by="p-2")
            return await handle.result()

    assert virtually(main()) == [3, 9]
    assert COUNTED == [0, 1, 2, 9]
    sound(inner)


def somebody(store: EventStore) -> Any:
    """A person at another program's keyboard."""
    from actum.engine.runtime.approvals import answer_approval
    from tests.engine.world import VirtualWorld

    return lambda id_, name: answer_approval(store, VirtualWorld(), id_, name, granted=True, by="p-1")


def test_an_answer_from_outside_does_not_stop_a_takeover() -> None:
    """A decision that comes between loading and claiming makes the claim conflict; it is claimed all the same."""
    inner = MemoryStore()
    outside = somebody(inner)
    armed: list[int] = []

    def person(number: int, batch: Batch) -> Exception | None:
        if armed and any(event.type == "execution.claimed" for event in batch[0].events):
            armed.clear()
            outside("one", "ok")
        return None

    store: Any = Between(inner, person)

    async def main() -> Any:
        async with engine_on(store) as first:
            await first.start(guarded, id="one")
            await asked(inner)
        armed.append(1)
        async with engine_on(store) as second:
            second.register(guarded)
            return await (await second.resume("one")).result()

    assert virtually(main()) == ["shipped", "p-1", ""]
    sound(inner)


def test_an_answer_from_outside_does_not_stop_the_clock() -> None:
    """When the decision on one question conflicts with the firing of a timer, the timer fires all the same."""
    inner = MemoryStore()
    outside = somebody(inner)

    def person(number: int, batch: Batch) -> Exception | None:
        first = batch[0].events[0].type
        if first == "timer.fired" and inner.view("approvals", {"status": "waiting"}):
            outside("one", "ok")
        return None

    store: Any = Between(inner, person)

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(ctx.approve(Approval("?", name="ok")), ctx.sleep(5), ctx.sleep(10))

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(flow, id="one")).result()

    assert virtually(main())[1:] == [None, None]
    sound(inner)


@pytest.mark.parametrize("finished", [False, True], ids=["still running", "finished"])
def test_a_worker_that_lost_its_execution_records_nothing(store: EventStore, finished: bool) -> None:
    """After the other's claim, nothing of what the stale one had planned is written, and its waiter is told."""
    if store.url != "memory://":
        pytest.skip("two engines that take each other for dead need a store without owners' locks")
    gates = {"w-1": asyncio.Event(), "w-2": asyncio.Event()}
    ran: list[str] = []

    def flow_of(worker: str) -> Any:
        @step(name="work")
        async def work() -> str:
            await gates[worker].wait()
            ran.append(worker)
            return worker

        @workflow(name="flow")
        async def flow(ctx: Any) -> str:
            return await work()

        return flow

    async def main() -> Any:
        async with Engine(store, worker="w-1") as stale, Engine(store, worker="w-2") as owner:
            lost = await stale.start(flow_of("w-1"), id="one")
            await until(lambda: len(history(store)) == 2)
            owner.register(flow_of("w-2"))
            kept = await owner.resume("one")
            await until(lambda: len(history(store)) == 5)
            if finished:
                gates["w-2"].set()
                await kept.result()
            gates["w-1"].set()
            await until(lambda: ran)
            told = await ended(lost)
            gates["w-2"].set()
            return told, await kept.result()

    told, output = really(main())

    assert output == "w-2"
    assert told == "w-2" if finished else isinstance(told, Fenced)
    claimed = history(store).index("execution.claimed")
    assert {event.actor.ref for event in store.read_stream("execution/one")[claimed:]} == {"w-2"}


def test_two_engines_that_start_the_same_id_start_it_once(store: EventStore) -> None:
    """Whoever comes second attaches, or is told that the other owns it; there is one beginning."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return await plus_one(x)

    async def main() -> list[Any]:
        async with Engine(store) as first, Engine(store) as second:
            found = []
            for engine in (first, second):
                try:
                    found.append(await engine.start(flow, 1, id="one"))
                except OwnedElsewhere as exc:
                    found.append(exc)
            return [exc if isinstance(exc, Exception) else await ended(exc) for exc in found]

    found = really(main())

    assert 2 in found
    assert all(one == 2 or isinstance(one, (Fenced, OwnedElsewhere)) for one in found)
    assert history(store).count("execution.started") == 1


def test_a_closed_store_is_the_waiters_error(tmp_path: Path) -> None:
    """An engine on a closed store neither hangs nor records: who waits hears of it when the engine is left."""
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    go = asyncio.Event()

    @step
    async def waits() -> None:
        await go.wait()

    @workflow
    async def flow(ctx: Any) -> None:
        await waits()

    async def main() -> None:
        async with Engine(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: len(history(store)) == 2)
            store.close()
            go.set()
            await asyncio.sleep(0)
        with pytest.raises((ExecutionFailed, StoreError)):
            await handle.result()

    really(main())
