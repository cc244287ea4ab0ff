"""Steps that need something, end to end: scheduled until they have it, and whatever happens, nothing stays held."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import Engine, Retry, step, workflow
from actum.engine.resources import Breaker, Pool, Quota, RateLimit, Resources
from actum.engine.runtime.handle import Handle
from actum.errors import BadInput, ExecutionFailed, StepFailed
from actum.eventstore import EventStore
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, sound, virtually

ONE_GPU = Resources(pools=[Pool("gpu", 1)])
RUNNING: list[Any] = []
GATES: dict[str, asyncio.Event] = {}


def types(store: EventStore, id_: str) -> list[str]:
    return [event.type for event in store.read_stream(f"execution/{id_}")]


def row(store: EventStore, id_: str) -> dict[str, Any]:
    (found,) = store.view("executions", {"id": id_})
    return found


def idle(engine: Engine) -> bool:
    """Whether nothing is held or waited for here."""
    desk = engine.desk
    return not any((desk._held, desk._waiting, desk._of, desk._lines, desk._refused))


@step(needs={"gpu": 1})
async def train(seconds: float) -> float:
    RUNNING.append(seconds)
    await asyncio.sleep(seconds)
    return seconds


@workflow
async def trains(ctx: Any, seconds: float) -> float:
    return await train(seconds)


async def settled(*handles: Handle) -> list[Any]:
    return await asyncio.gather(*[handle.result() for handle in handles])


def test_a_step_is_scheduled_until_it_has_what_it_needs() -> None:
    """The log, the state and the list say so; nothing is begun meanwhile."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(trains, 10, id="first")
            second = await engine.start(trains, 10, id="second")
            await asyncio.sleep(5)
            assert types(store, "second") == ["execution.started", "step.scheduled"]
            assert (row(store, "second")["status"], row(store, "second")["waiting_for"]) == ("waiting", "pool gpu")
            assert row(store, "first")["status"] == "running"
            assert await settled(first, second) == [10, 10]
            assert idle(engine)

    virtually(main())
    sound(store)
    assert types(store, "second") == history_of_one()
    events = store.read_stream("execution/second")
    assert events[1].facts["needs"] == {"gpu": 1}
    assert events[1].value() == {"args": [10]}
    assert events[2].payload is None


def history_of_one() -> list[str]:
    return ["execution.started", "step.scheduled", "step.started", "step.completed", "execution.completed"]


def test_a_step_without_needs_costs_no_event_and_no_ask() -> None:
    """Whatever the engine has to share out."""
    store = MemoryStore()

    @step
    async def plain() -> int:
        return 1

    @workflow
    async def flow(ctx: Any) -> int:
        return await plain()

    async def main() -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            await settled(await engine.start(flow, id="x"))
            assert engine.desk._shelf is None

    virtually(main())
    sound(store)
    assert types(store, "x") == ["execution.started", "step.started", "step.completed", "execution.completed"]


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        ({"gpu": 2}, "never have more than 1"),
        ({"gpuu": 1}, "did you mean 'gpu'"),
        ({"api": 9}, "whose burst is 1"),
    ],
)
def test_what_can_never_be_had_is_refused_at_once(needs: dict[str, int], why: str) -> None:
    """Before the start where the step is known then, else as a failure that is not tried again."""
    store = MemoryStore()
    rules = Resources(pools=[Pool("gpu", 1)], limits=[RateLimit("api", 60, per="1m", burst=1)])
    greedy = step(needs=needs, retries=5)(train.fn)

    @workflow
    async def direct(ctx: Any) -> Any:
        return await greedy(1)

    hidden = {"step": greedy}

    @workflow
    async def later(ctx: Any) -> Any:
        return await hidden["step"](1)

    async def main() -> None:
        async with engine_on(store, resources=rules) as engine:
            with pytest.raises(BadInput, match=why):
                await engine.start(direct, id="direct")
            with pytest.raises(ExecutionFailed, match=why):
                await settled(await engine.start(later, id="later"))

    virtually(main())
    sound(store)
    assert store.stream_version("execution/direct") == 0
    assert types(store, "later") == ["execution.started", "step.started", "step.failed", "execution.failed"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"needs": {"gpu": 0}},
        {"needs": {"gpu": -1}},
        {"needs": {"gpu": True}},
        {"needs": {"gpu": 0.5}},
        {"needs": {"": 1}},
        {"needs": {"a/b": 1}},
        {"needs": ["gpu"]},
        {"needs": {"gpu": 2**60}},
        {"breaker": ""},
        {"breaker": 7},
    ],
)
def test_needs_that_mean_nothing_are_refused_where_they_are_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"needs|breaker"):
        step(**wrong)(train.fn)


def test_a_retry_asks_again() -> None:
    """What it held goes to others while it waits for its next attempt."""
    store = MemoryStore()

    @step(needs={"gpu": 1}, retries=Retry(attempts=2, first_delay_s=100))
    async def flaky() -> str:
        if not RUNNING.count("flaky"):
            RUNNING.append("flaky")
            raise ConnectionError("once")
        return "ok"

    @workflow
    async def flow(ctx: Any) -> str:
        return await flaky()

    async def main() -> None:
        RUNNING.clear()
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(flow, id="flaky")
            second = await engine.start(trains, 10, id="second")
            await asyncio.sleep(50)
            assert second.done, "the gpu was free while the first waited"
            assert await settled(first) == ["ok"]
            assert idle(engine)

    virtually(main())
    sound(store)
    assert types(store, "flaky")[4:] == [
        "step.retry_scheduled",
        "step.scheduled",
        "step.started",
        "step.completed",
        "execution.completed",
    ]


def test_cancelled_paused_and_skipped_wait_no_more() -> None:
    """What waits is given up at once, and stands in nobody's way; after a pause it asks again."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            holder = await engine.start(trains, 100, id="holder")
            await asyncio.sleep(1)
            cancelled, paused, skipped, last = [
                await engine.start(trains, 1, id=id_) for id_ in ("cancelled", "paused", "skipped", "last")
            ]
            await asyncio.sleep(1)
            await engine.cancel("cancelled", by="p")
            await engine.pause("paused", by="p")
            await engine.skip("skipped", "train", by="p", reason="no gpu", result=7)
            with pytest.raises(ExecutionFailed, match="cancelled"):
                await cancelled.result()
            assert await settled(skipped) == [7]
            assert set(engine.desk._waiting) == {"last/train#0"}
            assert await settled(holder, last) == [100, 1]
            assert idle(engine)
            await engine.unpause("paused", by="p")
            assert await settled(paused) == [1]

    virtually(main())
    sound(store)
    assert types(store, "cancelled")[2:] == ["execution.cancel_requested", "step.cancelled", "execution.cancelled"]


def test_the_loser_of_a_race_gives_back() -> None:
    """One that waits is given up, one that runs is stopped; neither holds anything afterwards."""
    store = MemoryStore()

    @workflow
    async def races(ctx: Any) -> Any:
        return (await ctx.race(train(100), ctx.sleep(5), train(50))).which

    async def main() -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            await settled(await engine.start(races, id="races"))
            assert idle(engine)
            assert await settled(await engine.start(trains, 1)) == [1]

    virtually(main())
    sound(store)


def test_after_a_crash_a_scheduled_step_is_asked_for_again() -> None:
    """By whoever goes on; waiting is no recovery that counts against it."""
    store = MemoryStore()

    async def main() -> None:
        for _ in range(8):
            engine = engine_on(store, resources=ONE_GPU)
            blocks = await engine.start(trains, 10_000)
            await asyncio.sleep(0.1)
            if not store.stream_version("execution/x"):
                await engine.start(trains, 1, id="x")
            else:
                await engine.resume("x")
            await asyncio.sleep(0.1)
            assert "x/train#0" in engine.desk._waiting
            await engine.cancel(blocks.id, by="p", force=True)
            engine.desk._stopped = True
            await engine.close()
        async with engine_on(store, resources=ONE_GPU) as engine:
            assert await settled(await engine.resume("x")) == [1]

    virtually(main())
    sound(store)
    assert types(store, "x").count("step.started") == 1


def test_a_sleeping_execution_is_woken_when_its_turn_comes() -> None:
    """It waits without being in memory."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, resources=ONE_GPU, idle_after_s=10) as engine:
            first = await engine.start(trains, 1000, id="first")
            second = await engine.start(trains, 1, id="second")
            gone = await engine.start(trains, 1, id="gone")
            await asyncio.sleep(100)
            assert set(engine._runs) == {"first"}
            await engine.cancel("gone", by="p")
            assert await settled(first, second) == [1000, 1]
            with pytest.raises(ExecutionFailed):
                await gone.result()
            assert idle(engine)

    virtually(main())
    sound(store)


def test_a_draining_worker_begins_nothing_and_holds_nothing() -> None:
    """What runs comes to its end; what waits is left to others as it is."""
    store = MemoryStore()

    async def main() -> None:
        engine = engine_on(store, resources=ONE_GPU)
        first = await engine.start(trains, 10, id="first")
        await engine.start(trains, 10, id="second")
        await asyncio.sleep(1)
        assert await engine.drain(60) == 0
        assert first.done
        assert types(store, "second") == ["execution.started", "step.scheduled"]
        assert idle(engine)

    virtually(main())
    sound(store)


def test_by_priority_and_quota() -> None:
    """Of those that wait the one of the highest priority is next."""
    store = MemoryStore()

    async def main() -> None:
        RUNNING.clear()
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(trains, 1)
            await asyncio.sleep(0.1)
            await settled(first, *[await engine.start(trains, n, priority=n) for n in (2, 5, 3)])
        assert RUNNING == [1, 5, 3, 2]
        rules = Resources(pools=[Pool("gpu", 4)], quotas=[Quota("gpu", per="customer", at_most=1)])
        async with engine_on(store, resources=rules) as engine:
            began = asyncio.get_running_loop().time()
            await settled(*[await engine.start(trains, 10, attributes={"customer": f"c{n % 2}"}) for n in range(4)])
            assert asyncio.get_running_loop().time() - began == pytest.approx(20, abs=1)

    virtually(main())
    sound(store)


def test_a_rate_limit_spaces_out_attempts() -> None:
    """Sixty a minute with a burst of two: the fifth comes three seconds after the first."""
    store = MemoryStore()

    @step(needs={"api": 1})
    async def call() -> float:
        return asyncio.get_running_loop().time()

    @workflow
    async def calls(ctx: Any) -> Any:
        return await ctx.gather(*[call() for _ in range(5)])

    async def main() -> list[float]:
        rules = Resources(limits=[RateLimit("api", 60, per="1m", burst=2)])
        async with engine_on(store, resources=rules) as engine:
            handle = await engine.start(calls, id="calls")
            await asyncio.sleep(0.5)
            assert row(store, "calls")["waiting_for"] == "limit api"
            return (await settled(handle))[0]

    at = virtually(main())
    assert [round(one - at[0]) for one in at] == [0, 0, 1, 2, 3]


def test_a_full_line_refuses_and_retries_come_back() -> None:
    """One more than may wait fails with `PoolFull`, like any failure."""
    store = MemoryStore()

    async def main() -> None:
        rules = Resources(pools=[Pool("gpu", 1, queue=1)])
        async with engine_on(store, resources=rules) as engine:
            first, second = await engine.start(trains, 10), await engine.start(trains, 10)
            third = await engine.start(trains, 10, id="third")
            with pytest.raises(ExecutionFailed, match="which is all that may") as caught:
                await third.result()
            assert caught.value.error_type == "PoolFull"
            assert await settled(first, second) == [10, 10]
            assert idle(engine)

    virtually(main())
    sound(store)
    assert types(store, "third")[1:] == ["step.scheduled", "step.started", "step.failed", "execution.failed"]


def failing(downs: list[bool], **more: Any) -> Any:
    @step(breaker="down", **more)
    async def call() -> str:
        if downs[0]:
            raise ConnectionError("no answer")
        return "ok"

    @workflow
    async def calls(ctx: Any) -> str:
        try:
            return await call()
        except StepFailed as exc:
            return exc.error_type

    return calls


def test_a_breaker_opens_waits_probes_and_closes() -> None:
    """Its events say so; while it is open steps wait, and then go one at a time until it is closed."""
    store = MemoryStore()
    downs = [True]
    calls = failing(downs)
    rules = Resources(breakers=[Breaker("down", failures=3, open_for="1m", successes=2)])

    async def main() -> None:
        async with engine_on(store, resources=rules) as engine:
            assert await settled(*[await engine.start(calls) for _ in range(3)]) == ["ConnectionError"] * 3
            waiting = [await engine.start(calls, id=f"w{n}") for n in range(4)]
            await asyncio.sleep(30)
            assert row(store, "w0")["waiting_for"] == "breaker down"
            assert not any(handle.done for handle in waiting)
        async with engine_on(store, resources=rules) as engine:  # the other side is down still: half open, open again
            engine.register(calls)
            waiting = [await engine.resume(f"w{n}") for n in range(4)]
            await asyncio.sleep(45)
            assert [handle.done for handle in waiting] == [True, False, False, False]
            downs[0] = False
            assert await settled(*waiting) == ["ConnectionError", "ok", "ok", "ok"]
            assert idle(engine)

    virtually(main())
    sound(store)
    said = [(event.type, event.facts) for event in store.read_stream("breaker/down")]
    assert said == [
        ("breaker.opened", {"breaker": "down", "failures": 3, "error_type": "ConnectionError"}),
        ("breaker.half_opened", {"breaker": "down"}),
        ("breaker.opened", {"breaker": "down", "failures": 1, "error_type": "ConnectionError"}),
        ("breaker.half_opened", {"breaker": "down"}),
        ("breaker.closed", {"breaker": "down", "successes": 2}),
    ]


def test_an_open_breaker_may_fail_at_once() -> None:
    """With `CircuitOpen`, which the step's function never sees."""
    store = MemoryStore()
    rules = Resources(breakers=[Breaker("down", failures=1, open_for="1m", when_open="fail")])

    async def main() -> None:
        async with engine_on(store, resources=rules) as engine:
            calls = failing([True])
            assert await settled(await engine.start(calls)) == ["ConnectionError"]
            assert await settled(await engine.start(calls, id="x")) == ["CircuitOpen"]
            assert idle(engine)

    virtually(main())
    sound(store)


def test_a_compensation_comes_before_new_work() -> None:
    """It waits for what it needs, ahead of what waited longer."""
    store = MemoryStore()
    order: list[str] = []

    @step(needs={"gpu": 1})
    async def undo(result: Any) -> None:
        order.append("undo")

    @step(compensate=undo)
    async def book() -> str:
        return "booked"

    @step
    async def fail() -> None:
        raise ValueError("no")

    @workflow
    async def books(ctx: Any) -> None:
        await book()
        await ctx.sleep(5)
        await fail()

    @step(needs={"gpu": 1})
    async def work() -> None:
        order.append("work")

    @workflow
    async def works(ctx: Any) -> None:
        await work()

    async def main() -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            holder = await engine.start(trains, 20)
            booked = await engine.start(books)
            worked = await engine.start(works)
            await settled(holder, worked)
            with pytest.raises(ExecutionFailed):
                await booked.result()
            assert idle(engine)

    virtually(main())
    sound(store)
    assert order == ["undo", "work"]
