"""What an execution's row says while it waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import Approval, Retry, step, workflow
from actum.engine.rules.folding import fold
from actum.engine.rules.state import is_recovery
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, sound, virtually


@step
async def takes(seconds: float) -> None:
    await asyncio.sleep(seconds)


@step(retries=Retry(attempts=2, first_delay_s=60))
async def fails() -> None:
    raise ValueError("no")


@workflow
async def slow(ctx: Any) -> None:
    await takes(50)


@workflow
async def sleeps(ctx: Any) -> None:
    await ctx.sleep(50)


@workflow
async def listens(ctx: Any) -> None:
    await ctx.wait_signal("go")


@workflow
async def asks(ctx: Any) -> None:
    await ctx.approve(Approval("Go on?", name="ok"))


@workflow
async def tries_again(ctx: Any) -> None:
    await fails()


@workflow
async def has_a_child(ctx: Any) -> None:
    await ctx.child(slow)


@workflow
async def has_children(ctx: Any) -> None:
    await ctx.gather(ctx.child(slow), ctx.child(slow))


@workflow
async def works_beside(ctx: Any) -> None:
    await ctx.gather(ctx.child(slow), ctx.sleep(70), takes(20))


def rows(flow: Any, *looks: float) -> list[tuple[str, str | None]]:
    """Status and what it waits for, so many seconds after the start."""
    store, seen = MemoryStore(), []

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(flow, id="one")
            for at in looks:
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                row = store.view("executions", {"id": "one"})[0]
                seen.append((row["status"], row["waiting_for"]))
                sound(store)

    virtually(main())
    return seen


@pytest.mark.parametrize(
    ("flow", "waits_for"),
    [
        (sleeps, "sleep#0"),
        (listens, "go#0"),
        (asks, "ok#0"),
        (tries_again, "fails#0"),
        (has_a_child, "slow#0"),
        (has_children, "children"),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_the_row_says_what_an_execution_waits_for(flow: Any, waits_for: str) -> None:
    """A time, a signal, a person, another attempt of a step, a child, several children."""
    assert rows(flow, 1) == [("waiting", waits_for)]


def test_what_does_something_beside_its_wait_is_running() -> None:
    """It waits once nothing of its own runs, for what has been open longest; then for what is left."""
    assert rows(works_beside, 10, 30, 60, 80) == [
        ("running", None),
        ("waiting", "sleep#0"),
        ("waiting", "sleep#0"),
        ("completed", None),
    ]


def test_who_only_waited_for_a_child_did_not_die_of_its_own_doing() -> None:
    """Taking over what waited for a child, or for another attempt, is no step towards poison."""
    for flow in (has_a_child, has_children, tries_again):
        store = MemoryStore()

        async def main(flow: Any = flow, store: MemoryStore = store) -> None:
            async with engine_on(store) as engine:
                await engine.start(flow, id="one")
                await asyncio.sleep(1)

        virtually(main())
        assert not is_recovery(fold("one", store.read_stream("execution/one")))
