"""Children that are asked to stop: at once when their parent is cancelled or gives them up, whoever asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import step, workflow
from actum.engine.runtime.control import Control
from actum.eventstore.memory import MemoryStore
from tests.engine.functions.test_racing import quick, run
from tests.engine.world import VirtualWorld, engine_on, history, sound, until, virtually


@workflow
async def lasts(ctx: Any) -> Any:
    await ctx.sleep(3600)


@workflow
async def has_one(ctx: Any) -> Any:
    await ctx.child(lasts, id="grandchild")


@workflow
async def tidies(ctx: Any) -> Any:
    """Takes ten seconds to clean up behind itself when it is cancelled."""
    try:
        await ctx.gather(
            ctx.child(has_one, id="child"),
            ctx.child(lasts, id="free", on_parent_close="abandon"),
            ctx.child(lasts, id="held", on_parent_close="wait"),
        )
    except asyncio.CancelledError:
        await ctx.sleep(10)
        raise


FAMILY = ("one", "child", "grandchild", "held")


def asked_in(store: MemoryStore) -> list[str]:
    """Who was asked to stop, in order."""
    asked = [event for event in store.read() if event.type == "execution.cancel_requested"]
    return [event.stream.removeprefix("execution/") for event in asked]


async def under_way(store: MemoryStore) -> None:
    await until(lambda: all("timer.set sleep#0" in history(store, id_) for id_ in ("grandchild", "free", "held")))


@pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
def test_a_cancel_asks_children_and_theirs_at_once(force: bool) -> None:
    """In the append of the request, before the parent has heard of it; a forced end asks them too, cooperatively."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(tidies, id="one")
            await under_way(store)
            before = store.head()
            Control(store, VirtualWorld(), "one").cancel("p-1", force=force)
            assert asked_in(store) == list(FAMILY)  # nobody else had a turn
            of_family = {event.stream for event in store.read(before - 1)}
            assert of_family == {f"execution/{id_}" for id_ in FAMILY}
            await until(lambda: all(history(store, id_)[-1] == "execution.cancelled" for id_ in FAMILY))
            ends = {e.stream: e.at for e in store.read() if e.type == "execution.cancelled"}
            assert force or ends["execution/grandchild"] < ends["execution/one"]

    virtually(main())

    assert asked_in(store) == list(FAMILY)
    assert history(store, "free")[-1] == "timer.set sleep#0"
    assert ("child.ended has_one#0" in history(store)) != force  # nobody listens any more behind a forced end
    sound(store)


def test_a_cancel_where_nobody_runs_any_of_them_asks_the_children_too() -> None:
    """The worker is down; whoever takes the children over finds that they are to stop."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(tidies, id="one")
            await under_way(store)
        Control(store, VirtualWorld(), "one").cancel("p-1")
        assert asked_in(store) == list(FAMILY)
        async with engine_on(store) as engine:
            engine.register(has_one, lasts)  # and not the parent
            await engine.resume("grandchild")
            await until(lambda: history(store, "grandchild")[-1] == "execution.cancelled")

    virtually(main())

    assert [word for word in history(store) if "cancel" in word][1:] == [
        "child.cancel_requested has_one#0",
        "child.cancel_requested lasts#1",
    ]
    sound(store)


def test_a_deadline_asks_children_at_once() -> None:
    """It is a cancel from inside."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(tidies, id="one", timeout="60s")
            await until(lambda: history(store)[-1:] == ["execution.failed"])

    virtually(main())

    events = [e for e in store.read() if e.type == "execution.cancel_requested"]
    assert [e.stream.removeprefix("execution/") for e in events] == list(FAMILY)
    assert len({e.at for e in events}) == 1
    sound(store)


def test_a_race_that_cuts_off_a_child_asks_it_to_stop() -> None:
    """In the append of the decision: one that raced itself, one inside a branch that raced, and what those started."""

    @workflow
    async def parent(ctx: Any) -> str:
        async def branch() -> None:
            await quick()
            await ctx.child(lasts, id="inside")

        won = await ctx.race(direct=ctx.child(has_one, id="direct"), branch=branch(), late=ctx.sleep(5))
        await ctx.sleep(60)
        return str(won.which)

    store, output = run(parent)

    assert output == "late"
    assert set(asked_in(store)) == {"direct", "grandchild", "inside"}
    asked = [e.at for e in store.read() if e.type == "execution.cancel_requested"]
    decided = next(e.at for e in store.read() if e.type == "race.decided")
    assert set(asked) == {decided}
    assert all(history(store, id_)[-1] == "execution.cancelled" for id_ in ("direct", "grandchild", "inside"))


def test_a_child_that_ends_in_the_same_moment_has_ended() -> None:
    """A request that comes behind the end of a child changes nothing of it."""
    store = MemoryStore()

    @step
    async def works() -> int:
        await asyncio.sleep(1)
        return 7

    @workflow
    async def short(ctx: Any) -> int:
        return await works()

    @workflow
    async def parent(ctx: Any) -> Any:
        await ctx.child(short, id="short")
        await ctx.sleep(60)

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(parent, id="one")
            await until(lambda: history(store, "short")[-1:] == ["execution.completed"])
            Control(store, VirtualWorld(), "one").cancel("p-1")
            await until(lambda: history(store)[-1] == "execution.cancelled")

    virtually(main())

    assert asked_in(store) == ["one"]
    sound(store)
