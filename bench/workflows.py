"""The workflows of actum's load. Steps do nothing, so that what is measured is the engine."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from actum import Approval, Context, step, workflow
from bench.common import Stamps

HOLD = os.environ.get("BENCH_HOLD") == "1"
held = 0
stamps = Stamps()


@step
async def echo(i: int) -> int:
    return i


@step
async def one() -> int:
    """No input and a small result: what the bytes of a step are counted on."""
    return 1


@step
async def gate(i: int) -> int:
    """Hangs in the process that is going to be killed, returns in the next."""
    global held
    if HOLD:
        held += 1
        await asyncio.sleep(3600)
    return i


@step
async def stamp(i: int) -> int:
    stamps.now()
    return i


@workflow
async def stamped(ctx: Context, steps: int) -> int:
    total = 0
    for i in range(steps):
        total += await stamp(i)
    return total


@workflow
async def waiting(ctx: Context, steps: int) -> int:
    """Some steps, and then a question to people that nobody answers."""
    for i in range(steps):
        await echo(i)
    await ctx.approve(Approval("Go on?", context={"order": "A-17"}))
    return steps


@workflow
async def sequence(ctx: Context, steps: int) -> int:
    total = 0
    for i in range(steps):
        total += await echo(i)
    return total


@workflow
async def small(ctx: Context, steps: int) -> int:
    total = 0
    for _ in range(steps):
        total += await one()
    return total


@workflow
async def fan_out(ctx: Context, steps: int) -> int:
    results: list[Any] = await ctx.gather(*[echo(i) for i in range(steps)])
    return sum(results)


@workflow
async def half_way(ctx: Context, steps: int) -> int:
    """`steps` steps, the middle one of which is the gate."""
    total = 0
    for i in range(steps):
        total += await (gate(i) if i == steps // 2 else echo(i))
    return total


@workflow
async def long_run(ctx: Context, steps: int) -> int:
    """`steps` steps, then the gate."""
    total = 0
    for i in range(steps):
        total += await echo(i)
    return total + await gate(steps)
