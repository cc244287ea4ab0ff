"""A folder with workflows to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from actum.testing.warm import Warm

from .commands import Shell

WORKFLOWS = """
from actum import Approval, current_step, step, workflow

@step
async def double(n: int) -> int:
    return 2 * n

async def forget(n: int) -> None: ...

@step(compensate=forget)
async def remember(n: int) -> int:
    return n

@step
async def refuse(n: int) -> int:
    raise ValueError(f"{n} will not do")

@workflow
async def twice(ctx, n: int) -> int:
    return await double(n)

@workflow
async def never(ctx, n: int) -> int:
    await remember(n)
    return await refuse(n)

@workflow
async def guarded(ctx, n: int) -> int:
    await ctx.approve(Approval("May it?", {"n": n}, "may-it", "high"))
    return await double(n)

@step(on_doubt="park")
def deadly(n: int) -> int:
    import os
    os.kill(os.getpid(), 9)
    return n

@workflow
async def once(ctx, n: int) -> int:
    return await deadly(n)

@workflow
async def told(ctx, given: dict) -> str:
    return given["event"]["type"]

@step
async def asks(n: int, cost: int | None) -> None:
    current_step().used(tokens_in=n, tokens_out=2, cost_nanousd=cost, model="m-small")

@workflow
async def spends(ctx, costs: list) -> None:
    for cost in costs:
        await asks(100, cost)

not_one = 3
"""


@pytest.fixture
def actum(tmp_path: Path, warm: Warm) -> Shell:
    (tmp_path / "flows.py").write_text(WORKFLOWS)
    return Shell(tmp_path, warm.actum)
