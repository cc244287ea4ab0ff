"""Workers that have nothing to do: they ask the store ever less often, and miss nothing by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from actum.engine import Engine, step, workflow
from actum.engine.runtime.ports import Alone
from actum.engine.runtime.worker import Worker
from actum.eventstore import ANY, Append, open_store
from actum.eventstore.memory import MemoryStore
from actum.testing.builders import event
from tests.engine.world import engine_on, until, virtually


class Counted(MemoryStore):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Counter[str]()

    def __getattribute__(self, name: str) -> Any:
        if name in ("head", "read", "read_stream", "view", "stream_version"):
            self.asked[name] += 1
        return super().__getattribute__(name)


@step
async def nothing() -> None: ...


@workflow
async def short(ctx: Any) -> None:
    await nothing()


@workflow
async def naps(ctx: Any, s: float) -> None:
    await ctx.sleep(s)


def hired(engine: Engine) -> tuple[Worker, asyncio.Task[int]]:
    engine.register(short, naps)
    worker = Worker(engine)
    return worker, asyncio.create_task(worker.run())


def test_an_idle_worker_asks_seldom() -> None:
    """In ten quiet minutes no more than once in five seconds for each of the two that look, the log and the queue."""
    store = Counted()

    async def main() -> None:
        engine = engine_on(store, worker="w-1")
        worker, running = hired(engine)
        await asyncio.sleep(60)
        store.asked.clear()
        await asyncio.sleep(600)
        assert 60 <= store.asked["head"] <= 600 / 5 + 2
        assert store.asked["view"] <= 2 * (600 / 5 + 2)
        assert set(store.asked) == {"head", "view"}
        worker.stop()
        await running

    virtually(main())


def test_what_comes_after_a_long_rest_is_taken_at_once() -> None:
    """The store says that the log has grown; nobody waits for the next look."""
    store = MemoryStore()

    async def main() -> None:
        worker, running = hired(engine_on(store, worker="w-1"))
        for n in range(3):
            await asyncio.sleep(601.7 + n)
            begun = asyncio.get_running_loop().time()
            async with engine_on(store) as outside:
                await outside.submit(short, id=f"e{n}")
            await until(lambda n=n: store.view("executions", {"id": f"e{n}"})[0]["status"] == "completed")
            assert asyncio.get_running_loop().time() - begun < 0.05
        worker.stop()
        await running

    virtually(main())


def test_what_is_due_is_done_when_it_is_due() -> None:
    """Timers are known by when they are due: a worker that sleeps deep wakes for them on time."""
    store = MemoryStore()

    async def main() -> None:
        engine = engine_on(store, worker="w-1", idle_after_s=1)
        worker, running = hired(engine)
        begun = asyncio.get_running_loop().time()
        await engine.start(naps, 1003.3, id="one")
        await asyncio.sleep(1000)
        await until(lambda: store.view("executions")[0]["status"] == "completed")
        assert 1003.3 <= asyncio.get_running_loop().time() - begun < 1003.4
        worker.stop()
        await running

    virtually(main())


def test_the_death_of_another_is_seen_by_one_that_rests() -> None:
    """Nothing is written when a worker dies, so who rests looks whether others live."""
    store, office = MemoryStore(), Alone()

    async def main() -> None:
        async def began() -> None:
            await until(lambda: any(row["status"] == "waiting" for row in store.view("executions")))

        first = engine_on(store, worker="w-1", owners=office)
        worker, running = hired(engine_on(store, worker="w-2", owners=office))
        first.register(naps)
        await first.start(naps, 5000, id="one")
        await began()
        await asyncio.sleep(900)
        await first.close()
        died = asyncio.get_running_loop().time()
        await until(lambda: store.view("executions")[0]["owner"] == "w-2")
        assert asyncio.get_running_loop().time() - died < 0.6
        worker.stop()
        await running

    virtually(main())


# -- how a store wakes who waits ---------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.db'}"
    return str(request.getfixturevalue(request.param))


def test_a_store_tells_who_listens_of_what_others_write(address: str) -> None:
    """Whoever has the store open hears of an append, here and elsewhere, until it listens no more."""
    ours, theirs = open_store(address), open_store(address)
    heard: dict[str, Event] = {"here": Event(), "elsewhere": Event()}
    over = [ours.listen(heard["here"].set), theirs.listen(heard["elsewhere"].set)]
    for n in range(3):
        ours.append([Append("execution/one", ANY, [event(f"e{n}")])])
        for who in heard.values():
            assert who.wait(60)
            who.clear()
    for end in over:
        end()
    ours.close()
    theirs.close()


def test_nothing_is_heard_any_more_by_one_that_has_ended() -> None:
    """Who has ended listening is not called, and the others are."""
    store, heard = MemoryStore(), list[str]()
    end = store.listen(lambda: heard.append("a"))
    store.listen(lambda: heard.append("b"))
    store.append([Append("execution/one", ANY, [event("e1")])])
    end()
    store.append([Append("execution/one", ANY, [event("e2")])])
    assert heard == ["a", "b", "b"]
