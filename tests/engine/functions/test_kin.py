"""Children, and executions that go on as another: over crashes, and across workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from actum.engine import Engine, Graph, workflow
from actum.engine.publishing import publish
from actum.errors import ChildFailed, ExecutionFailed
from actum.events import Actor, to_text
from actum.eventstore.memory import MemoryStore
from actum.testing.clock import NOON_US
from tests.engine.functions.test_racing import breaks, quick, run
from tests.engine.world import engine_on, history, sound, until, virtually


@dataclass
class Parcel:
    number: int


@workflow
async def ship(ctx: Any, number: int) -> Parcel:
    return Parcel(await quick(number))


@workflow
async def falls(ctx: Any) -> None:
    await breaks()


@workflow
async def lasts(ctx: Any) -> Any:
    await ctx.sleep(3600)


async def double(number: int) -> int:
    return number * 2


# -- children ----------------------------------------------------------------------------------------------------------


def test_a_child_is_an_execution_of_its_own() -> None:
    """Its result comes typed to the parent; start and end stand in both streams in one append each."""

    @workflow
    async def parent(ctx: Any) -> Any:
        parcels = await ctx.gather(ctx.child(ship, 1), ctx.child(ship, 2, id="second"))
        assert all(isinstance(parcel, Parcel) for parcel in parcels)
        return [parcel.number for parcel in parcels]

    store, output = run(parent)

    assert output == [1, 2]
    assert history(store, "one.ship-0")[-1] == history(store, "second")[-1] == "execution.completed"
    begun = store.read_stream("execution/second")[0]
    assert (begun.facts["parent"], begun.facts["parent_key"]) == ("one", "ship#1")
    events = list(store.read())
    for mine, theirs in (("child.started", "execution.started"), ("child.ended", "execution.completed")):
        mines = [e.at for e in events if e.type == mine]
        others = [e.at for e in events if e.type == theirs and e.stream != "execution/one"]
        assert mines == others


def test_the_failure_of_a_child_is_raised_where_it_is_awaited() -> None:
    """`ChildFailed` names the child and what went wrong; a parent that lets it through fails for the same reason."""

    @workflow
    async def parent(ctx: Any) -> Any:
        try:
            await ctx.child(falls)
        except ChildFailed as exc:
            assert (exc.child, exc.execution, exc.error_type) == ("falls", "one.falls-0", "ValueError")
        await ctx.child(falls)

    _, error = run(parent)

    assert error.error_type == "ValueError"
    assert error.message.startswith("child 'falls': ")


@pytest.mark.parametrize(
    ("workflow_", "given", "id_", "says"),
    [
        ("nowhere", None, None, "no workflow called"),
        (ship, "many", None, "input 'number': should be a whole number"),
        (ship, 1, "one", "there is an execution 'one' already"),
        (ship, 1, "a/b", "without '/'"),
        (ship, object(), None, "cannot be recorded as JSON"),
    ],
)
def test_a_child_that_cannot_be_started_fails_there(workflow_: Any, given: Any, id_: Any, says: str) -> None:
    """Bad input starts nothing, and the workflow hears why."""

    @workflow
    async def parent(ctx: Any) -> Any:
        await ctx.child(workflow_, given, id=id_)

    store, error = run(parent)

    assert says in error.message
    assert [row["id"] for row in store.view("executions")] == ["one"]


def test_a_child_by_name_and_a_graph() -> None:
    """What was published is found by its name; a graph is a child as any other."""
    built = (
        Graph("twice")
        .parameter("number", required=True)
        .step("double", double, inputs={"number": "{{ parameters.number }}"})
        .build()
    )

    @workflow
    async def parent(ctx: Any) -> Any:
        return [await ctx.child("twice", {"number": 2}), await ctx.child(built, {"number": 4})]

    store = MemoryStore()

    async def main() -> Any:
        publish(store, built, to_text(NOON_US), Actor("worker", "w"))
        async with Engine(store) as engine:
            engine.register(built)
            return await (await engine.start(parent, id="one")).result()

    assert asyncio.run(main()) == [4, 8]


def test_a_child_ends_while_its_parent_is_down() -> None:
    """Another worker runs the child on; the parent finds its end when it is resumed, and runs nothing twice."""

    @workflow
    async def parent(ctx: Any) -> Any:
        return [await quick(0), (await ctx.child(naps)).number]

    @workflow
    async def naps(ctx: Any) -> Parcel:
        await ctx.sleep(1)
        return Parcel(await quick(7))

    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as first:
            await first.start(parent, id="one")
            await until(lambda: "timer.set sleep#0" in history(store, "one.naps-0"))
        async with engine_on(store) as second:
            second.register(parent, naps)
            await (await second.resume("one.naps-0")).result()
        assert history(store, "one")[-1] == "child.ended naps#0"
        async with engine_on(store) as third:
            third.register(parent, naps)
            return await (await third.resume("one")).result()

    assert virtually(main()) == [0, 7]
    sound(store)


def test_a_child_of_another_worker() -> None:
    """The parent hears of the end of a child that was taken over by a worker of its own."""
    store = MemoryStore()

    @workflow
    async def parent(ctx: Any) -> Any:
        return (await ctx.child(naps)).number

    @workflow
    async def naps(ctx: Any) -> Parcel:
        await ctx.sleep(1)
        return Parcel(await quick(7))

    async def main() -> Any:
        async with engine_on(store) as first, engine_on(store) as second:
            handle = await first.start(parent, id="one")
            await until(lambda: "timer.set sleep#0" in history(store, "one.naps-0"))
            first._runs["one.naps-0"].drop(RuntimeError("for a test"))
            first.owners.release(first.worker)
            second.register(naps)
            await second.resume("one.naps-0")
            first.owners.hold(first.worker)
            return await handle.result()

    assert virtually(main()) == 7
    sound(store)


def test_children_outlive_a_parent_only_when_they_are_abandoned() -> None:
    """When the parent fails, those that are not are asked to stop, in the append of its end."""

    @workflow
    async def parent(ctx: Any) -> Any:
        await ctx.gather(ctx.child(lasts), ctx.child(lasts, id="free", on_parent_close="abandon"), falls_later(ctx))

    async def falls_later(ctx: Any) -> None:
        await ctx.sleep(1)
        await breaks()

    store, error = run(parent)

    assert error.error_type == "ValueError"
    asked = [e for e in store.read() if e.type == "execution.cancel_requested"]
    assert [e.stream for e in asked] == ["execution/one.lasts-0"]
    assert "child.cancel_requested lasts#0" in history(store)


@pytest.mark.parametrize("pause_s", [0.012, 0.03, 0.5])
def test_many_children_over_restarts(pause_s: float) -> None:
    """Whenever workers die, every child runs once, and the parent gets every result."""

    @workflow
    async def parent(ctx: Any) -> Any:
        return [p.number for p in await ctx.gather(*(ctx.child(ship, number) for number in range(12)))]

    store = MemoryStore()

    async def main() -> Any:
        for number in range(1000):
            async with engine_on(store, worker=f"w-{number}") as engine:
                engine.register(ship, parent)
                handle = await engine.start(parent, id="one")
                await engine.recover()
                result = asyncio.ensure_future(handle.result())
                await asyncio.wait([result], timeout=pause_s)
                if result.done():
                    return result.result()
                result.cancel()
        raise AssertionError("it never ended")

    assert virtually(main()) == list(range(12))
    sound(store)
    assert len([e for e in store.read() if e.type == "step.completed"]) == 12


# -- going on as another -----------------------------------------------------------------------------------------------


@workflow
async def poll(ctx: Any, left: int) -> Any:
    await quick(left)
    if left:
        ctx.continue_as_new(left - 1)
    return [await ctx.wait_signal("go"), await ctx.wait_signal("go")]


def test_an_execution_goes_on_as_the_next() -> None:
    """Whoever waits gets the last one's result; signals that were not read go with it; the duration is the chain's."""

    async def send(engine: Any, store: MemoryStore) -> None:
        await engine.signal("one", "go", "early")
        await until(lambda: store.view("executions", {"status": "waiting"}))
        await engine.signal("one", "go", "late")

    store, output = run(poll, send, given=3)

    assert output == ["early", "late"]
    assert {row["id"]: row["status"] for row in store.view("executions")} == {
        "one": "continued",
        "one~1": "continued",
        "one~2": "continued",
        "one~3": "completed",
    }
    last = store.read_stream("execution/one~3")
    assert (last[0].facts["previous"], last[0].facts["first"]) == ("one~2", "one")
    assert last[-1].facts["duration_us"] >= 40_000
    assert history(store)[-1] == "execution.continued"


def test_a_chain_is_followed_after_a_restart() -> None:
    """Resuming the first is resuming the last, and starting it again is too."""
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as first:
            await first.start(poll, 2, id="one")
            await until(lambda: store.view("executions", {"status": "waiting"}))
        async with engine_on(store) as second:
            handle = await second.start(poll, 2, id="one")
            await second.signal("one", "go", 1)
            await second.signal("one", "go", 2)
            assert await handle.result() == [1, 2]
            return await (await second.resume("one")).result()

    assert virtually(main()) == [1, 2]
    sound(store)


def test_a_child_that_goes_on_ends_with_the_last_link() -> None:
    """The parent hears once, when the chain has ended."""

    @workflow
    async def counts(ctx: Any, left: int) -> Any:
        if left:
            ctx.continue_as_new(left - 1)
        return "done"

    @workflow
    async def parent(ctx: Any) -> Any:
        return await ctx.child(counts, 2)

    store, output = run(parent)

    assert output == "done"
    assert len([w for w in history(store) if w.startswith("child.ended")]) == 1
    assert history(store, "one.counts-0~2")[-1] == "execution.completed"


def test_going_on_with_what_does_not_fit_fails() -> None:
    """The input of the next is held against the workflow before anything is started."""

    @workflow
    async def flow(ctx: Any, left: int) -> Any:
        try:
            ctx.continue_as_new("none")
        except Exception:
            return "swallowed"

    store, error = run(flow, given=1)

    assert error.error_type == "BadInput"
    assert "input 'left': should be a whole number" in error.message
    assert [row["id"] for row in store.view("executions")] == ["one"]


# -- typed edges -------------------------------------------------------------------------------------------------------


def test_an_output_must_be_what_the_workflow_declares() -> None:
    """Else the execution fails, and the error names the workflow and the field."""

    @workflow
    async def typed(ctx: Any) -> Parcel:
        return {"number": "none"}  # type: ignore[return-value]

    @workflow
    async def plain(ctx: Any) -> int:
        return "7"  # type: ignore[return-value]

    _, wrong = run(typed)
    _, text = run(plain)

    assert isinstance(wrong, ExecutionFailed)
    assert wrong.error_type == text.error_type == "OutputMismatch"
    assert "workflow 'typed': its output does not fit what it declares: number: Input should be" in wrong.message
    assert "workflow 'plain': its output does not fit what it declares: should be a whole number" in text.message
