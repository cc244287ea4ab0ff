"""Executions that only wait are let go from memory, and come back when something is due or has come."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Engine, Retry, step, workflow
from actum.engine.runtime.approvals import answer_approval
from actum.engine.runtime.ports import Alone
from actum.errors import ExecutionFailed, Fenced
from actum.eventstore import open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.world import VirtualWorld, engine_on, history, really, sound, until, virtually


@step
async def note(what: Any) -> Any:
    return what


@workflow
async def asks(ctx: Any) -> Any:
    await note("before")
    answer = await ctx.approve(Approval("Go on?", name="ok"))
    return await note(answer["by"])


@workflow
async def naps(ctx: Any, seconds: float) -> Any:
    await note("before")
    await ctx.sleep(seconds)
    return await note("after")


def in_memory(engine: Engine) -> list[str]:
    return sorted(engine._runs)


def test_what_only_waits_leaves_memory_after_a_while() -> None:
    """Not before its time, and not while a step runs, however long."""
    store = MemoryStore()

    @step
    async def long() -> None:
        await asyncio.sleep(100)

    @workflow
    async def works(ctx: Any) -> None:
        await long()

    async def main() -> None:
        async with engine_on(store, idle_after_s=10) as engine:
            await engine.start(asks, id="asks")
            await engine.start(works, id="works")
            await asyncio.sleep(9)
            assert in_memory(engine) == ["asks", "works"]
            await asyncio.sleep(2)
            assert in_memory(engine) == ["works"]

    virtually(main())
    sound(store)


def test_a_handle_hears_the_end_of_what_left_memory() -> None:
    """`result()` that was asked for before, and `wait_asking`, hold across letting go and bringing back."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, idle_after_s=0) as engine:
            handle = await engine.start(asks, id="one")
            early = asyncio.ensure_future(handle.result())
            assert await handle.wait_asking()
            await until(lambda: not in_memory(engine))
            assert await handle.wait_asking()
            assert not handle.done
            await engine.approve("one", "ok", by="p-1")
            assert await early == "p-1"
            assert await (await engine.start(asks, id="one")).result() == "p-1"

    virtually(main())
    sound(store)
    assert "execution.claimed" not in history(store)


def test_a_decision_from_another_process_brings_it_back() -> None:
    """Whoever appended it, and though nobody here has a handle."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, idle_after_s=0) as engine:
            await engine.start(asks, id="one")
            await until(lambda: not in_memory(engine) and store.view("approvals"))
            answer_approval(store, VirtualWorld(), "one", "ok", granted=True, by="p-2")
            await until(lambda: store.view("executions")[0]["status"] == "completed")

    virtually(main())
    sound(store)


def test_what_is_due_comes_back_at_its_time() -> None:
    """A sleep is as long as it says, in memory or not; a wait before the next attempt as well."""
    store, tries = MemoryStore(), []

    @step(retries=Retry(attempts=2, first_delay_s=50))
    async def flaky() -> float:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) == 1:
            raise OSError("not yet")
        return 1.0

    @workflow
    async def flow(ctx: Any) -> Any:
        await ctx.sleep(3600)
        return await flaky()

    async def main() -> None:
        async with engine_on(store, idle_after_s=0) as engine:
            await (await engine.start(flow, id="one")).result()

    virtually(main())
    sound(store)
    assert tries == [pytest.approx(3600, abs=0.01), pytest.approx(3650, abs=0.01)]


def test_many_that_are_due_in_one_second_all_come_back() -> None:
    """More than may be in memory at once; each fires once, and others go on between them."""
    store, count = MemoryStore(), 1_300

    async def main() -> None:
        async with engine_on(store, idle_after_s=1) as engine:
            await asyncio.gather(*(engine.start(naps, 30, id=f"n{n}") for n in range(count)))
            await asyncio.sleep(20)
            assert in_memory(engine) == []
            most = 0
            while store.view("executions", {"status": "waiting"}, limit=1) or in_memory(engine):
                most = max(most, len(in_memory(engine)))
                await asyncio.sleep(0.005 if in_memory(engine) else 1)
            assert most <= 1_100
            assert asyncio.get_running_loop().time() < 50

    virtually(main())
    rows = store.view("executions")
    assert [row["status"] for row in rows] == ["completed"] * count
    fired = [event.stream for event in store.read(types=["timer.fired"])]
    assert len(fired) == len(set(fired)) == count


def test_too_many_at_rest_leave_before_their_time() -> None:
    """Memory is bounded by what works, not by what waits."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, idle_after_s=10_000) as engine:
            await asyncio.gather(*(engine.start(naps, 30, id=f"n{n}") for n in range(1_200)))
            await asyncio.sleep(10)
            assert len(in_memory(engine)) <= 1_000
            while store.view("executions", {"status": "waiting"}, limit=1):
                await asyncio.sleep(5)

    virtually(main())


def test_what_another_worker_took_is_not_woken_here() -> None:
    """Whoever waits for it here hears that it was taken over, and nothing is written."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, idle_after_s=0, owners=Alone()) as first:
            handle = await first.start(asks, id="one")
            await until(lambda: not in_memory(first) and store.view("approvals"))
            async with engine_on(store, owners=Alone()) as second:  # which takes the first for dead
                second.register(asks)
                await second.recover()
                with pytest.raises(Fenced):
                    await handle.result()
                await second.approve("one", "ok", by="p-3")
                assert await (await second.resume("one")).result() == "p-3"

    virtually(main())
    sound(store)


def test_closing_tells_whoever_waits_for_what_sleeps() -> None:
    """Nobody is left waiting for an execution that nobody here will wake."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, idle_after_s=0) as engine:
            handle = await engine.start(asks, id="one")
            await until(lambda: not in_memory(engine) and store.view("approvals"))
        with pytest.raises(ExecutionFailed, match="the engine was closed"):
            await handle.result()

    virtually(main())


def test_a_worker_that_is_started_again_writes_nothing_for_what_only_waits(tmp_path: Path) -> None:
    """Taking its own back costs no event, and what came meanwhile is heard."""
    url = f"sqlite:///{tmp_path}/log.db"

    async def main(answered: bool) -> None:
        store = open_store(url)
        async with Engine(store, worker="w-1") as engine:
            engine.register(asks)
            if answered:
                answer_approval(store, engine.world, "one", "ok", granted=True, by="p-1")
            await engine.recover()
            handle = await engine.start(asks, id="one")
            await handle.wait_asking()
            if answered:
                assert await handle.result() == "p-1"
            assert "execution.claimed" not in history(store)
        sound(store)
        store.close()

    for answered in (False, False, True):
        really(main(answered))
