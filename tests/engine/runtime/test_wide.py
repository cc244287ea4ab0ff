"""Many things open at once cost as much each as few do."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections.abc import Callable
from typing import Any

import pytest

from actum.engine import Approval, Retry, current_step, step, workflow
from actum.errors import VersionConflict
from actum.eventstore import Appended, Batch
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, sound, virtually


class Late(MemoryStore):
    """Appends a moment after it was asked to, as a store that groups them; counts those that came too late."""

    conflicts = 0

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        def counted(answer: Appended | Exception) -> None:
            self.conflicts += isinstance(answer, VersionConflict)
            done(answer)

        asyncio.get_running_loop().call_later(0.001, super().append_soon, batch, counted)


@step
async def note(what: int) -> int:
    return what


@step(retries=Retry(attempts=2, first_delay_s=10, jitter=0))
async def fails_once(what: int) -> int:
    if current_step().attempt == 1:
        raise ValueError("once")
    return what


@workflow
async def steps(ctx: Any, count: int) -> int:
    return len(await ctx.gather(*(note(i) for i in range(count))))


@workflow
async def retries(ctx: Any, count: int) -> int:
    return len(await ctx.gather(*(fails_once(i) for i in range(count))))


@workflow
async def one_after_another(ctx: Any, count: int) -> int:
    for i in range(count):
        await note(i)
    return count


@workflow
async def timers(ctx: Any, count: int) -> int:
    return len(await ctx.gather(*(ctx.sleep(i + 1) for i in range(count))))


@workflow
async def questions(ctx: Any, count: int) -> int:
    asked = (ctx.approve(Approval("Go on?", name=f"q{i}", deadline_s=i + 1.0)) for i in range(count))
    return len(await ctx.gather(*asked, return_exceptions=True))


@workflow
async def leaf(ctx: Any, what: int) -> int:
    return await note(what)


@workflow
async def children(ctx: Any, count: int) -> int:
    return len(await ctx.gather(*(ctx.child(leaf, i) for i in range(count))))


@workflow
async def few_children_at_once(ctx: Any, count: int) -> int:
    async def lane(first: int) -> None:
        for i in range(first, count, 5):
            await ctx.child(leaf, i)

    await ctx.gather(*(lane(first) for first in range(5)))
    return count


def calls_each(flow: Any, count: int, store: MemoryStore) -> float:
    """Function calls that one of so many takes, built-in ones too."""

    async def main() -> None:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, count, id="one")
            assert await handle.result() == count

    profile = cProfile.Profile()
    profile.enable()
    virtually(main())
    profile.disable()
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return total / count


@pytest.mark.parametrize("flow", [steps, retries, one_after_another, timers, questions], ids=lambda flow: flow.name)
def test_each_of_many_that_are_open_costs_what_each_of_few_does(flow: Any) -> None:
    """Eight times as many take eight times the work, and not sixty-four times."""
    few, many = calls_each(flow, 50, MemoryStore()), calls_each(flow, 400, MemoryStore())
    assert many < 1.5 * few


@pytest.mark.parametrize("flow", [children, few_children_at_once], ids=lambda flow: flow.name)
def test_children_that_end_at_once_are_not_in_each_others_way(flow: Any) -> None:
    """Neither their ends nor what their parent does then is appended in vain, however many they are."""
    few, many = Late(), Late()
    each_of_few, each_of_many = calls_each(flow, 25, few), calls_each(flow, 200, many)

    assert (few.conflicts, many.conflicts) == (0, 0)
    assert each_of_many < 1.5 * each_of_few
    sound(many)
