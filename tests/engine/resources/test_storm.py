"""Whatever happens, no pool is ever exceeded, nothing stays held, and every log is sound."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actum.engine import Engine, Retry, step, workflow
from actum.engine.functions.workflow import Workflow
from actum.engine.resources import Breaker, Pool, Quota, RateLimit, Resources
from actum.errors import ActumError
from actum.eventstore import Batch
from actum.eventstore.memory import MemoryStore
from tests.engine.world import Between, engine_on, sound, virtually

RULES = Resources(
    pools=[Pool("gpu", 2), Pool("cpu", 3, queue=6), Pool("slot", 2)],
    limits=[RateLimit("api", 2, per="1s", burst=2)],
    breakers=[Breaker("down", failures=3, open_for="5s"), Breaker("hard", failures=2, when_open="fail")],
    quotas=[Quota("gpu", per="customer", at_most=1)],
    share="customer",
)
USED: dict[str, int] = {}
CHANCE = random.Random()


async def use(seconds: float, **units: int) -> None:
    for name, amount in units.items():
        USED[name] = USED.get(name, 0) + amount
        assert USED[name] <= RULES.pools[name].capacity
    try:
        await asyncio.sleep(seconds)
        if CHANCE.random() < 0.3:
            raise ConnectionError("no answer")
    finally:
        for name, amount in units.items():
            USED[name] -= amount


again = Retry(attempts=3, first_delay_s=1)


@step(needs={"cpu": 1})
async def tidy(result: Any) -> None:
    await use(1, cpu=1)


@step(needs={"gpu": 1}, retries=again)
async def small() -> None:
    await use(2, gpu=1)


@step(needs={"gpu": 1, "cpu": 3}, retries=again, timeout=2.5, compensate=tidy)
async def big() -> None:
    await use(3 if CHANCE.random() < 0.2 else 1, gpu=1, cpu=3)


@step(needs={"api": 1}, breaker="down", retries=again)
async def call() -> None:
    await use(0.5)


@step(breaker="hard", retries=again)
async def hard() -> None:
    await use(0.1)


STEPS = [small, big, call, hard]


@workflow
async def works(ctx: Any, seed: int) -> str:
    chance = random.Random(seed)
    for _ in range(2):
        await ctx.gather(*[chance.choice(STEPS)() for _ in range(chance.randint(1, 3))], return_exceptions=True)
        if chance.random() < 0.2:
            await ctx.race(small(), ctx.sleep(1))
    if chance.random() < 0.3:
        raise ValueError("enough")
    return "done"


HOLDERS: dict[int, int] = {}
"""Executions with steps under way that hold a slot."""


@contextmanager
def slot(seed: int) -> Iterator[None]:
    HOLDERS[seed] = HOLDERS.get(seed, 0) + 1
    assert len(HOLDERS) <= RULES.pools["slot"].capacity
    try:
        yield
    finally:
        HOLDERS[seed] -= 1
        if not HOLDERS[seed]:
            del HOLDERS[seed]


@step
async def give_up(seed: int) -> None:
    with slot(seed):
        await use(1)


@step(retries=again, compensate=give_up)
async def inside(seed: int) -> int:
    with slot(seed):
        await use(2)
    return seed


@step(needs={"cpu": 1}, priority=1, retries=again)
async def beside(seed: int) -> None:
    with slot(seed):
        await use(1, cpu=1)


@workflow(needs={"slot": 1}, preemptible=True)
async def holds(ctx: Any, seed: int) -> str:
    chance = random.Random(seed)
    for _ in range(3):
        steps = [chance.choice([inside, beside])(seed) for _ in range(chance.randint(1, 2))]
        await ctx.gather(*steps, return_exceptions=True)
        if chance.random() < 0.3:
            await ctx.race(inside(seed), ctx.sleep(1))
    if chance.random() < 0.3:
        raise ValueError("enough")
    return "done"


async def trouble(engine: Engine, ids: list[str], chance: random.Random) -> None:
    """A person who does this and that."""
    for _ in range(6):
        await asyncio.sleep(chance.random() * 4)
        id_ = chance.choice(ids)
        try:
            match chance.randrange(4):
                case 0:
                    await engine.cancel(id_, by="p")
                case 1:
                    await engine.pause(id_, by="p")
                case 2:
                    await engine.unpause(id_, by="p")
                case 3:
                    await engine.skip(id_, "small", by="p", reason="r", result=None)
        except ActumError:
            continue


@pytest.mark.parametrize("flow", [works, holds], ids=["steps", "throughout"])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_exceeded_lost_or_left(flow: Workflow, seed: int) -> None:
    """Retries, time-outs, races, compensations, people, a store that fails and workers that die."""
    chance = random.Random(seed)
    CHANCE.seed(seed)
    store = MemoryStore()

    def before(count: int, batch: Batch) -> Exception | None:
        if any(one.stream.startswith("workflow/") for one in batch):
            return None
        return chance.choice((Between.LANDED, Between.LOST)) if chance.random() < 0.03 else None

    ids = [f"e{n}" for n in range(6)]

    async def main() -> None:
        for life in range(3):
            USED.clear()
            HOLDERS.clear()
            engine = engine_on(
                Between(store, before), resources=RULES, idle_after_s=1, max_recoveries=None, worker=f"w{life}"
            )
            engine.register(flow)
            if life == 0:
                for n, id_ in enumerate(ids):
                    await engine.start(flow, seed + n, id=id_, priority=n % 3, attributes={"customer": f"c{n % 3}"})
            else:
                await engine.recover()
            await trouble(engine, ids, chance)
            await (engine.drain(5) if chance.random() < 0.5 else engine.close())
            await asyncio.sleep(10)  # attempts that were cut off come to their end
        USED.clear()
        HOLDERS.clear()
        async with engine_on(store, resources=RULES) as engine:
            engine.register(flow)
            for id_ in ids:
                if store.view("executions", {"id": id_})[0]["status"] == "paused":
                    await engine.unpause(id_, by="p")
            handles, refused = await engine.recover()
            assert not refused
            await asyncio.gather(*[handle.result() for handle in handles], return_exceptions=True)
            desk = engine.desk
            assert not any((desk._held, desk._waiting, desk._of, desk._lines, desk._refused, desk.reclaimed, HOLDERS))
        assert not any(USED.values())
        ended = {row["status"] for row in store.view("executions", {})}
        assert ended <= {"completed", "failed", "cancelled"}

    virtually(main())
    sound(store)
