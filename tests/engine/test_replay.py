"""Running again over what is recorded, with the same code and with other code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Workflow, step, workflow
from actum.engine.definitions import planner_for
from actum.engine.rules.calls import Call, Done, Give, Planner
from actum.engine.rules.folding import fold
from actum.engine.rules.state import Execution
from actum.errors import ExecutionFailed, ReplayDiverged, StepFailed
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, history, sound, until, virtually


@step
async def a(x: Any = None) -> Any:
    return x


@step
async def b(x: Any = None) -> Any:
    return x


@step
async def new(x: Any = None) -> Any:
    return x


@step
async def breaks() -> None:
    raise ValueError("boom")


async def one(x: Any) -> Any:
    return await a(x)


async def two(x: Any) -> Any:
    await asyncio_free()
    return await b(x)


async def asyncio_free() -> None: ...


@workflow
async def chain(ctx: Any) -> Any:
    return [await a(n) for n in range(5)]


@workflow
async def wide(ctx: Any) -> Any:
    return await ctx.gather(one(1), two(2), ctx.gather(a(3), one(4)))


@workflow
async def mixed(ctx: Any) -> Any:
    try:
        await breaks()
    except StepFailed as exc:
        await a(exc.message)
    await ctx.sleep(5)
    return await ctx.gather(breaks(), b(1), return_exceptions=True) and await a(2)


@workflow
async def badly(ctx: Any) -> Any:
    await a(1)
    await ctx.gather(two(2), breaks())


def replayed(planner: Planner, state: Execution) -> tuple[list[str], list[Any]]:
    """What a planner asks for over a record, and how it ends."""
    wishes = planner.begin(None)
    for key in state.settled:
        wishes += planner.settle(key, state.outcome(key))
    return [w.key for w in wishes if not isinstance(w, (Done, Give))], [
        w for w in wishes if isinstance(w, (Done, Give))
    ]


@pytest.mark.parametrize("flow", [chain, wide, mixed, badly], ids=lambda flow: flow.name)
def test_a_record_replays_to_the_same_calls_and_the_same_end(flow: Workflow) -> None:
    """A new planner, told what is recorded, asks for exactly what is recorded and comes to the recorded end."""
    store = MemoryStore()

    async def run() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            try:
                return await handle.result()
            except ExecutionFailed as exc:
                return exc.error_type

    output = virtually(run())
    state = fold("one", store.read_stream("execution/one"))
    asked, ends = replayed(planner_for(flow, "one"), state)

    assert sorted(asked) == sorted([*state.steps, *state.timers])
    assert len(ends) == 1
    assert (ends[0].output if isinstance(ends[0], Done) else ends[0].error.error_type) == output


@pytest.mark.parametrize("flow", [chain, wide, mixed, badly], ids=lambda flow: flow.name)
def test_every_prefix_of_a_record_asks_for_nothing_that_the_rest_does_not_have(flow: Workflow) -> None:
    """Wherever a process dies, its successor asks for what the record has so far and what came next, and no more."""
    store = MemoryStore()

    async def run() -> None:
        async with engine_on(store) as engine:
            await asyncio.wait([asyncio.ensure_future((await engine.start(flow, id="one")).result())])

    virtually(run())
    events = store.read_stream("execution/one")
    whole = fold("one", events)
    for length in range(1, len(events)):
        state = fold("one", events[:length])
        asked, _ = replayed(planner_for(flow, "one"), state)
        assert set(asked) >= {*state.steps, *state.timers}
        assert set(asked) <= {*whole.steps, *whole.timers}


# -- other code --------------------------------------------------------------------------------------------------------


def version(name: str) -> Workflow:
    """A version of one workflow, by the name of what was done to it."""

    async def recorded(ctx: Any) -> Any:
        await a(1)
        await b(2)
        await ctx.approve("Really?")
        return "as recorded"

    async def same(ctx: Any) -> Any:
        """The same calls, written otherwise, with another end."""
        for call, number in ((a, 1), (b, 2)):
            await call(number)
        await ctx.approve("Really?")
        await new()
        return "same"

    async def gathered(ctx: Any) -> Any:
        """The same calls, side by side."""
        await ctx.gather(a(1), b(2))
        await ctx.approve("Really?")
        return "gathered"

    async def inserted(ctx: Any) -> None:
        await a(1)
        await new()
        await b(2)
        await ctx.approve("Really?")

    async def removed(ctx: Any) -> None:
        await a(1)
        await ctx.approve("Really?")

    async def removed_last(ctx: Any) -> None:
        await a(1)
        await b(2)

    async def renamed(ctx: Any) -> None:
        await a(1)
        await ctx.step("bb", b.fn, 2)
        await ctx.approve("Really?")

    async def reordered(ctx: Any) -> None:
        await b(2)
        await a(1)
        await ctx.approve("Really?")

    async def parallel(ctx: Any) -> None:
        await ctx.gather(one(1), two(2))
        await ctx.approve("Really?")

    async def other_kind(ctx: Any) -> None:
        await a(1)
        await ctx.sleep(5, "b")
        await ctx.approve("Really?")

    async def stops(ctx: Any) -> None: ...

    return Workflow(locals()[name], name="flow")


def under(name: str, then: Callable[[Any, Any], Any]) -> tuple[MemoryStore, Any]:
    """Run the recorded version up to its question, then resume it under another one."""
    store = MemoryStore()

    async def run() -> Any:
        async with engine_on(store) as first:
            await first.start(version("recorded"), id="one")
            await until(lambda: store.view("executions", {"status": "waiting"}))
        async with engine_on(store, worker="w-2") as second:
            second.register(version(name))
            return await then(second, store)

    return store, virtually(run())


@pytest.mark.parametrize("name", ["same", "gathered"])
def test_code_that_asks_for_the_same_goes_on(name: str) -> None:
    """Other code whose calls are those recorded takes over; the log says under which definition it goes on."""

    async def then(engine: Any, store: MemoryStore) -> Any:
        handle = await engine.resume("one")
        await engine.approve("one", "approval", by="p-1")
        return await handle.result()

    store, output = under(name, then)

    assert output == name
    upgraded = [e for e in store.read_stream("execution/one") if e.type == "code.upgraded"]
    assert [e.facts for e in upgraded] == [
        {"before": version("recorded").definition, "after": version(name).definition}
    ]
    sound(store)


def test_the_same_code_is_no_upgrade() -> None:
    """Resuming under the definition it started with records a claim and nothing else."""

    async def then(engine: Any, store: MemoryStore) -> Any:
        await engine.resume("one")

    store, _ = under("recorded", then)

    assert history(store)[-1] == "execution.claimed"
    assert "code.upgraded" not in history(store)


@pytest.mark.parametrize(
    ("name", "recorded", "asked"),
    [
        ("inserted", "'b#0'", "'new#0'"),
        ("removed", "'b#0'", "'approval#0'"),
        ("removed_last", "'approval#0'", "the end"),
        ("renamed", "'b#0'", "'bb#0'"),
        ("reordered", "'a#0'", "'b#0'"),
        ("parallel", "'a#0'", "'g0.0/a#0, g0.1/b#0'"),
        ("other_kind", "'b#0'", "a sleep of that name"),
        ("stops", "'a#0'", "the end"),
    ],
)
def test_code_that_asks_for_something_else_is_parked_once(name: str, recorded: str, asked: str) -> None:
    """The error and the log name what is recorded and what is asked for; trying again adds nothing to the log."""

    async def then(engine: Any, store: MemoryStore) -> Any:
        before = len(history(store))
        for _ in range(2):
            with pytest.raises(ReplayDiverged) as caught:
                await engine.resume("one")
            assert history(store)[before:] == ["replay.diverged", "execution.parked"]
        assert [row["status"] for row in store.view("executions")] == ["parked"]
        assert (await engine.recover()) == ([], {})
        return caught.value

    store, error = under(name, then)

    diverged, parked = store.read_stream("execution/one")[-2:]
    assert (error.recorded, error.asked) == (recorded, asked)
    assert (diverged.facts["recorded"], diverged.facts["asked"]) == (recorded, asked)
    assert diverged.facts["definition"] == version(name).definition
    assert parked.facts["reason"] == "diverged"
    assert "deploy the old code" in str(error)
    sound(store)


def test_a_divergence_names_the_line_that_asks() -> None:
    """Whoever has to mend it is told which line of today's code asks for what is not recorded."""

    async def then(engine: Any, store: MemoryStore) -> Any:
        with pytest.raises(ReplayDiverged) as caught:
            await engine.resume("one")
        return caught.value.where

    store, where = under("renamed", then)

    path, _, line = where.rpartition(":")
    assert 'ctx.step("bb"' in Path(path).read_text().splitlines()[int(line) - 1]
    assert store.read_stream("execution/one")[-2].value() == {"where": where}


def test_the_old_code_still_finishes_what_other_code_could_not() -> None:
    """A divergence costs nothing: with the code it started with, the execution goes on."""

    async def then(engine: Any, store: MemoryStore) -> Any:
        engine.register(version("inserted"))
        with pytest.raises(ReplayDiverged):
            await engine.resume("one")
        engine.register(version("recorded"))
        handle = await engine.resume("one")
        await engine.approve("one", "approval", by="p-1")
        return await handle.result()

    store, output = under("inserted", then)

    assert output == "as recorded"
    sound(store)


def test_ten_thousand_steps_replay() -> None:
    """A long record is replayed in one pass."""

    @workflow(name="long")
    async def flow(ctx: Any) -> Any:
        total = 0
        for n in range(10_000):
            total += (await a(n)) - n
        await ctx.approve("Really?")
        return total

    store = MemoryStore()

    async def run() -> Any:
        async with engine_on(store) as first:
            await first.start(flow, id="one")
            await until(lambda: store.view("executions", {"status": "waiting"}))
        async with engine_on(store) as second:
            second.register(flow)
            handle = await second.resume("one")
            await second.approve("one", "approval", by="p-1")
            return await handle.result()

    assert virtually(run()) == 0
    assert len(store.read_stream("execution/one")) == 20_000 + 5


def test_only_calls_are_asked_for_twice() -> None:
    """Replaying is deterministic: two planners over one record wish exactly alike."""
    first, second = planner_for(wide, "one"), planner_for(wide, "one")

    calls = [[(w.key, w.args) for w in planner.begin(None) if isinstance(w, Call)] for planner in (first, second)]

    assert calls[0] == calls[1] != []
