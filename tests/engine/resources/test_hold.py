"""What an execution holds from before its first step until its end, and gives back between two steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Engine, Graph, Retry, load_graph, step, workflow
from actum.engine.functions.workflow import Workflow
from actum.engine.resources import Pool, RateLimit, Resources
from actum.errors import BadInput, ExecutionFailed
from actum.eventstore import EventStore, open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, really, sound, until, virtually

ONE_GPU = Resources(pools=[Pool("gpu", 1), Pool("cpu", 1)], limits=[RateLimit("api", 1, per="1s")])
DONE: list[str] = []


@step
async def work(name: str, seconds: float) -> str:
    await asyncio.sleep(seconds)
    DONE.append(name)
    return name


async def undo(name: str) -> None:
    DONE.append(f"undo {name}")


reserve = step(name="reserve", compensate=undo)(work.fn)


@workflow(needs={"gpu": 1})
async def firm(ctx: Any, name: str) -> str:
    await work(name, 10)
    return await work(name, 10)


@workflow(needs={"gpu": 1}, preemptible=True)
async def soft(ctx: Any, name: str) -> str:
    await work(name, 10)
    await work(name, 10)
    return await work(name, 10)


def types(store: EventStore, id_: str) -> list[str]:
    return [event.type.removeprefix("execution.") for event in store.read_stream(f"execution/{id_}")]


def row(store: EventStore, id_: str) -> dict[str, Any]:
    (found,) = store.view("executions", {"id": id_})
    return found


def idle(engine: Engine) -> bool:
    desk = engine.desk
    return not any((desk._held, desk._waiting, desk._of, desk._lines, desk._refused, desk.reclaimed))


def played(main: Callable[[EventStore], Coroutine[Any, Any, None]]) -> EventStore:
    DONE.clear()
    store = MemoryStore()
    virtually(main(store))
    sound(store)
    return store


STEP = ["step.started", "step.completed"]
FIRM = ["started", "queued", "admitted", *STEP, *STEP, "completed"]


def test_an_execution_waits_for_what_it_holds_and_keeps_it_until_its_end() -> None:
    """Between its steps nobody else has it, and who waits for it is seen to wait."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(firm, "a", id="a")
            await asyncio.sleep(1)
            second = await engine.start(firm, "b", id="b", priority=9)
            await asyncio.sleep(14)
            assert types(store, "b") == ["started", "queued"]
            assert (row(store, "b")["status"], row(store, "b")["waiting_for"]) == ("waiting", "pool gpu")
            assert [await first.result(), await second.result()] == ["a", "b"]
            assert idle(engine)

    store = played(main)
    assert DONE == ["a", "a", "b", "b"]
    assert types(store, "a") == types(store, "b") == FIRM
    assert store.read_stream("execution/b")[1].facts == {"needs": {"gpu": 1}, "preemptible": False}
    assert store.read_stream("execution/b")[2].facts["waited_us"] == 19_000_000


def test_a_preemptible_one_makes_room_at_its_next_border() -> None:
    """No step is cut off; it says for which priority, waits where everybody sees it, and goes on afterwards."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(soft, "low", id="low")
            await asyncio.sleep(5)
            high = await engine.start(firm, "high", id="high", priority=7)
            await asyncio.sleep(4)
            assert types(store, "high") == ["started", "queued"]
            await asyncio.sleep(2)
            assert types(store, "low")[-2:] == ["step.completed", "preempted"]
            assert (row(store, "low")["status"], row(store, "low")["waiting_for"]) == ("waiting", "pool gpu")
            assert [await low.result(), await high.result()] == ["low", "high"]
            assert idle(engine)

    store = played(main)
    assert DONE == ["low", "high", "high", "low", "low"]
    assert types(store, "low") == [
        *("started", "queued", "admitted", *STEP),
        *("preempted", "admitted", *STEP, *STEP, "completed"),
    ]
    (preempted,) = [one for one in store.read_stream("execution/low") if one.type == "execution.preempted"]
    assert preempted.facts == {"needs": {"gpu": 1}, "priority": 7}


def test_equals_and_lower_ones_wait_and_the_last_step_is_no_border() -> None:
    """Only a higher priority counts, and who is at its end ends."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(soft, "low", id="low")
            await asyncio.sleep(1)
            same = await engine.start(firm, "same", id="same")
            await asyncio.sleep(24)  # in the last step
            high = await engine.start(firm, "high", id="high", priority=1)
            await asyncio.gather(low.result(), same.result(), high.result())

    store = played(main)
    assert DONE == ["low"] * 3 + ["high"] * 2 + ["same"] * 2
    assert "preempted" not in types(store, "low")


def test_a_single_step_of_a_higher_priority_preempts_too() -> None:
    """A step's own priority counts over that of its execution."""

    @step(needs={"gpu": 1}, priority=5)
    async def urgent() -> None:
        DONE.append("urgent")

    @workflow
    async def flow(ctx: Any) -> None:
        await urgent()

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(soft, "low", id="low", priority=4)
            await asyncio.sleep(5)
            high = await engine.start(flow, id="high")
            await asyncio.gather(low.result(), high.result())

    store = played(main)
    assert DONE == ["low", "urgent", "low", "low"]
    assert store.read_stream("execution/high")[1].facts["priority"] == 5


def test_steps_side_by_side_end_before_it_is_preempted_and_none_begins_meanwhile() -> None:
    """The border is where the last of them has ended, however the others would go on."""

    async def branch(name: str, *seconds: float) -> None:
        for one in seconds:
            await work(name, one)

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def wide(ctx: Any) -> None:
        await ctx.gather(branch("x", 4, 4, 4), branch("y", 6, 6))

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(wide, id="low")
            await asyncio.sleep(1)
            high = await engine.start(firm, "high", id="high", priority=1)
            await asyncio.gather(low.result(), high.result())

    store = played(main)
    assert DONE[:4] == ["x", "y", "high", "high"]
    assert sorted(DONE[4:]) == ["x", "x", "y"]
    assert types(store, "low")[2:8] == ["admitted", "step.started", *STEP, "step.completed", "preempted"]


def test_who_gives_up_waiting_takes_nothing_and_the_other_goes_on() -> None:
    """A wish for room that is gone before the border is no reason to make room."""

    async def branch(name: str, *seconds: float) -> None:
        for one in seconds:
            await work(name, one)

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def wide(ctx: Any) -> None:
        await ctx.gather(branch("x", 4, 4), branch("y", 20))

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(wide, id="low")
            await asyncio.sleep(1)
            high = await engine.start(firm, "high", id="high", priority=1)
            await asyncio.sleep(5)
            assert DONE == ["x"]
            await engine.cancel("high", by="p")
            await asyncio.sleep(5)
            assert DONE == ["x", "x"]
            await low.result()
            with pytest.raises(ExecutionFailed):
                await high.result()
            assert idle(engine)

    store = played(main)
    assert "preempted" not in types(store, "low")
    assert types(store, "high") == ["started", "queued", "cancel_requested", "cancelled"]


def test_a_race_is_decided_while_room_is_being_made() -> None:
    """What ends steps is not held up, or the border might never come."""

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def races(ctx: Any) -> str:
        await ctx.race(work("never", 10_000), ctx.sleep(10))
        return await work("low", 1)

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(races, id="low")
            await asyncio.sleep(5)
            high = await engine.start(firm, "high", id="high", priority=1)
            await asyncio.gather(low.result(), high.result())

    played(main)
    assert DONE == ["high", "high", "low"]


def test_a_paused_execution_holds_nothing() -> None:
    """As soon as its step has ended; when it goes on, it waits again."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(firm, "a", id="a")
            await asyncio.sleep(5)
            await engine.pause("a", by="p")
            second = await engine.start(firm, "b", id="b")
            await asyncio.sleep(4)
            assert DONE == []
            await asyncio.sleep(3)
            assert types(store, "b")[-2:] == ["admitted", "step.started"]
            await engine.unpause("a", by="p")
            await asyncio.sleep(3)
            assert row(store, "a")["waiting_for"] == "pool gpu"
            await asyncio.gather(first.result(), second.result())
            assert idle(engine)

    played(main)
    assert DONE == ["a", "b", "b", "a"]


def test_a_pause_within_a_step_changes_nothing() -> None:
    """What it held it holds, if it goes on before its step has ended."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(firm, "a", id="a")
            second = await engine.start(firm, "b", id="b")
            await asyncio.sleep(2)
            await engine.pause("a", by="p")
            await asyncio.sleep(2)
            await engine.unpause("a", by="p")
            await asyncio.gather(first.result(), second.result())

    played(main)
    assert DONE == ["a", "a", "b", "b"]


def test_compensations_go_first_and_wait_for_the_hold() -> None:
    """What was preempted and then cancelled gets its hold back ahead of new work, of whatever priority."""

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def booked(ctx: Any) -> None:
        await reserve("low", 10)
        await work("never", 1000)

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(booked, id="low")
            await asyncio.sleep(5)
            others = [await engine.start(firm, name, id=name, priority=9) for name in "xy"]
            await asyncio.sleep(10)
            assert types(store, "low")[-1] == "preempted"
            await engine.cancel("low", by="p")
            await asyncio.sleep(1)
            assert DONE == ["low"]
            with pytest.raises(ExecutionFailed):
                await low.result()
            await asyncio.gather(*[other.result() for other in others])
            assert idle(engine)

    store = played(main)
    assert DONE == ["low", "x", "x", "undo low", "y", "y"]
    assert types(store, "low")[-5:] == [
        *("cancel_requested", "admitted", "compensation.started", "compensation.completed", "cancelled")
    ]


def test_who_undoes_is_not_preempted() -> None:
    """Once it has failed it keeps what it holds until all is undone."""

    async def slow_undo(name: str) -> None:
        await asyncio.sleep(10)
        DONE.append(f"undo {name}")

    slow = step(name="slow", compensate=slow_undo)(work.fn)

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def fails(ctx: Any) -> None:
        await slow("one", 1)
        await slow("two", 1)
        raise ValueError("no")

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(fails, id="low")
            await asyncio.sleep(4)
            high = await engine.start(firm, "high", id="high", priority=9)
            with pytest.raises(ExecutionFailed, match="no"):
                await low.result()
            await high.result()

    store = played(main)
    assert DONE == ["one", "two", "undo two", "undo one", "high", "high"]
    assert "preempted" not in types(store, "low")


def test_a_retry_waits_for_the_hold() -> None:
    """Between two attempts is a border: the next one begins when it holds it again."""
    tries: list[int] = []

    @step(retries=Retry(attempts=3, first_delay_s=5))
    async def flaky() -> None:
        tries.append(1)
        DONE.append("try")
        if len(tries) == 1:
            raise ConnectionError("no")

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def flow(ctx: Any) -> None:
        await work("low", 3)
        await flaky()

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            low = await engine.start(flow, id="low")
            await asyncio.sleep(4)
            high = await engine.start(firm, "high", id="high", priority=9)
            await asyncio.gather(low.result(), high.result())

    played(main)
    assert DONE == ["low", "try", "high", "high", "try"]


@pytest.mark.parametrize("ends", ["close", "drain"])
def test_another_worker_takes_over_and_waits_anew(ends: str) -> None:
    """What a worker held that is gone is free; a step that it cut off begins again once it is held again."""

    async def main(store: EventStore) -> None:
        first = engine_on(store, resources=ONE_GPU, worker="w1")
        await first.start(firm, "a", id="a")
        await first.start(firm, "b", id="b")
        await asyncio.sleep(5)
        await (first.close() if ends == "close" else first.drain(1))
        await asyncio.sleep(20)
        DONE.clear()
        async with engine_on(store, resources=ONE_GPU, worker="w2") as second:
            second.register(firm)
            other = await second.start(firm, "c", id="c", priority=5)
            handles, refused = await second.recover()
            assert not refused
            await asyncio.sleep(1)
            assert types(store, "a")[-2:] == ["claimed", "step.in_doubt"]
            assert row(store, "a")["waiting_for"] == "pool gpu"
            await asyncio.gather(other.result(), *[handle.result() for handle in handles])
            assert idle(second)

    played(main)
    assert DONE[:2] == ["c", "c"]
    assert DONE[2:] in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


def test_the_same_worker_again_has_nothing() -> None:
    """A process that comes back under its name does not believe that it holds what its record says."""

    @workflow(needs={"gpu": 1})
    async def waits(ctx: Any) -> str:
        await ctx.sleep(100)
        return await work("waits", 1)

    async def main(store: EventStore) -> None:
        first = engine_on(store, resources=ONE_GPU, worker="w")
        await first.start(waits, id="a")
        await asyncio.sleep(5)
        await first.close()
        async with engine_on(store, resources=ONE_GPU, worker="w") as second:
            second.register(waits)
            other = await second.start(firm, "c", id="c")
            await asyncio.sleep(1)
            (handle,), _ = await second.recover()
            await asyncio.sleep(1)
            assert row(store, "a")["waiting_for"] == "pool gpu"
            await other.result()
            await handle.result()

    store = played(main)
    assert types(store, "a") == [
        *("started", "queued", "admitted", "timer.set", "claimed", "admitted", "timer.fired", *STEP, "completed")
    ]


def test_one_that_sleeps_keeps_what_it_holds_and_wakes_to_give_it_back() -> None:
    """Out of memory or not."""

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def waits(ctx: Any) -> str:
        await ctx.sleep(100)
        return await work("waits", 1)

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU, idle_after_s=1) as engine:
            low = await engine.start(waits, id="low")
            await asyncio.sleep(10)
            assert engine.run("low") is None
            same = await engine.start(firm, "same", id="same")
            await asyncio.sleep(10)
            assert DONE == []
            high = await engine.start(firm, "high", id="high", priority=1)
            await asyncio.gather(low.result(), same.result(), high.result())
            assert idle(engine)

    store = played(main)
    assert DONE == ["high", "high", "waits", "same", "same"]  # its workflow has had less of it
    assert "preempted" in types(store, "low")


def test_a_deadline_counts_while_it_waits() -> None:
    """It ends without ever having held anything."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(firm, "a", id="a")
            late = await engine.start(firm, "b", id="b", timeout=5)
            with pytest.raises(ExecutionFailed, match="deadline"):
                await late.result()
            await first.result()
            assert idle(engine)

    store = played(main)
    assert types(store, "b") == ["started", "queued", "cancel_requested", "failed"]


def test_a_full_line_turns_away_who_comes_and_nobody_who_was_in() -> None:
    """An execution that was preempted waits again, however long the line."""
    rules = Resources(pools=[Pool("gpu", 1, queue=1)])

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=rules) as engine:
            low = await engine.start(soft, "low", id="low")
            await asyncio.sleep(5)
            one = await engine.start(firm, "one", id="one", priority=2)
            await asyncio.sleep(1)
            two = await engine.start(firm, "two", id="two", priority=2)
            with pytest.raises(ExecutionFailed, match="which is all that may"):
                await two.result()
            await asyncio.sleep(5)
            three = await engine.start(firm, "three", id="three", priority=2)
            with pytest.raises(ExecutionFailed, match="which is all that may"):
                await three.result()
            await asyncio.gather(low.result(), one.result())

    store = played(main)
    assert types(store, "two") == ["started", "queued", "failed"]
    assert DONE == ["low", "one", "one", "low", "low"]


def test_nothing_is_given_back_that_would_not_be_enough() -> None:
    """Of several, the lowest priority goes, and what would not help stays."""
    rules = Resources(pools=[Pool("gpu", 3)])

    @workflow(needs={"gpu": 2})
    async def two(ctx: Any, name: str) -> None:
        await work(name, 10)

    @workflow(needs={"gpu": 3})
    async def three(ctx: Any, name: str) -> None:
        await work(name, 10)

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=rules) as engine:
            handles = [await engine.start(firm, "firm", id="firm")]
            handles.append(await engine.start(soft, "mid", id="mid", priority=2))
            handles.append(await engine.start(soft, "low", id="low", priority=1))
            await asyncio.sleep(1)
            handles.append(await engine.start(three, "three", id="three", priority=9))
            await asyncio.sleep(10)
            assert "preempted" not in types(store, "mid") + types(store, "low")
            await engine.cancel("three", by="p")
            handles.append(await engine.start(two, "two", id="two", priority=2))
            await asyncio.gather(*[handle.result() for handle in handles], return_exceptions=True)

    store = played(main)
    assert "preempted" not in types(store, "mid") + types(store, "low")  # only the lower one could, which is too little


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"needs": {"gpu": 0}}, "at least 1"),
        ({"preemptible": True}, "nothing that it could give back"),
        ({"needs": {"gpu": 1}, "preemptible": "yes"}, "true or false"),
        ({"needs": ["gpu"]}, "mapping"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_said(wrong: dict[str, Any], why: str) -> None:
    """At the workflow, in the builder and in files."""
    with pytest.raises(BadInput, match=why):
        workflow(**wrong)(firm.fn)
    given = {"name": "g", "steps": [{"id": "a", "run": "tests.engine.resources.test_hold:work"}], **wrong}
    with pytest.raises(BadInput):
        load_graph(given)
    if "needs" in wrong:
        with pytest.raises(BadInput, match=why):
            Graph("g").holding(**wrong)


def test_a_priority_is_for_what_waits() -> None:
    """A step that needs nothing never waits; and a priority is a whole number."""
    with pytest.raises(BadInput, match="no other waits"):
        step(priority=3)(work.fn)
    with pytest.raises(BadInput, match="whole number"):
        step(priority=1.5, needs={"gpu": 1})(work.fn)  # type: ignore[call-overload]


needing = step(name="needing", needs={"gpu": 1})(work.fn)
undone = step(name="undone", compensate=needing)(work.fn)


@workflow(needs={"gpu": 1})
async def twice(ctx: Any) -> None:
    await needing("a", 1)


@workflow(needs={"gpu": 1})
async def twice_undone(ctx: Any) -> None:
    await undone("a", 1)


@workflow(needs={"api": 1})
async def rate(ctx: Any) -> None: ...


@workflow(needs={"gpu": 2})
async def greedy(ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("flow", "why"),
    [
        (twice, "which its workflow holds throughout"),
        (twice_undone, "which its workflow holds throughout"),
        (rate, "cannot be held"),
        (greedy, "never have more than 1"),
    ],
)
def test_what_can_never_be_held_is_refused_at_the_start(flow: Workflow, why: str) -> None:
    """Nothing is written."""

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            with pytest.raises(BadInput, match=why):
                await engine.start(flow, id="x")

    assert played(main).stream_version("execution/x") == 0


def test_a_graph_holds_too() -> None:
    """From a file or built; its own definition says so, and steps may say their priority."""
    raw = {
        "name": "g",
        "needs": {"gpu": 1},
        "preemptible": True,
        "steps": [
            {
                "id": "a",
                "run": "tests.engine.resources.test_hold:work",
                "inputs": {"name": "g", "seconds": 10},
                "needs": {"cpu": 1},
                "priority": 3,
            }
        ],
    }
    graph = load_graph(raw)
    built = (
        Graph("g")
        .step("a", work, inputs={"name": "g", "seconds": 10}, needs={"cpu": 1}, priority=3)
        .holding({"gpu": 1}, preemptible=True)
        .build()
    )
    assert graph.to_json() == built.to_json()
    assert load_graph(graph.to_json()) == graph
    with pytest.raises(BadInput, match="which its workflow holds throughout"):
        load_graph({**raw, "needs": {"cpu": 1}})
    with pytest.raises(BadInput, match="of a whole execution"):
        load_graph({"name": "outer", "steps": [{"id": "in", "type": "workflow", "workflow": raw}]})

    async def main(store: EventStore) -> None:
        async with engine_on(store, resources=ONE_GPU) as engine:
            first = await engine.start(firm, "a", id="a")
            second = await engine.start(graph, {}, id="g")
            await asyncio.sleep(5)
            assert row(store, "g")["waiting_for"] == "pool gpu"
            await asyncio.gather(first.result(), second.result())
            assert idle(engine)

    store = played(main)
    assert DONE == ["a", "a", "g"]
    assert types(store, "g")[:4] == ["started", "queued", "admitted", "step.scheduled"]


def test_another_process_can_ask_for_room(tmp_path: Path) -> None:
    """Over all that share the store: who holds it hears of it, gives it back, and gets it again."""
    DONE.clear()

    @workflow(needs={"gpu": 1}, preemptible=True)
    async def long(ctx: Any) -> None:
        while not await work("low", 0.02) or "high" not in DONE:
            pass

    @workflow(needs={"gpu": 1})
    async def urgent(ctx: Any) -> None:
        await work("high", 0.01)

    async def main() -> None:
        url = f"sqlite:///{tmp_path}/s.db"
        with closing(open_store(url)) as one, closing(open_store(url)) as two:
            async with Engine(one, resources=ONE_GPU) as here, Engine(two, resources=ONE_GPU) as there:
                low = await here.start(long, id="low")
                await until(lambda: DONE)
                high = await there.start(urgent, id="high", priority=1)
                await asyncio.gather(low.result(), high.result())
                assert idle(here)
                assert idle(there)
            sound(one)
            assert types(one, "low").count("preempted") == 1
            assert types(one, "low").count("admitted") == 2

    really(main())
