"""Workers on one store: they take what nobody runs, keep out of each other's way, and leave nothing half done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import Approval, Engine, step, workflow
from actum.engine.rules.folding import fold
from actum.engine.runtime.fleet import fleet
from actum.engine.runtime.ports import Alone
from actum.engine.runtime.worker import Worker
from actum.errors import MissingService
from actum.eventstore import EventStore
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, history, sound, until, virtually


class Office(Alone):
    """Who is alive, as the test says; shared by all engines of a test."""

    def __init__(self) -> None:
        super().__init__()
        self.dead: set[str] = set()

    def alive(self, worker: str) -> bool:
        return worker not in self.dead and super().alive(worker)

    def living(self) -> list[Any]:
        return [one for one in super().living() if one.name not in self.dead]


class Hired:
    """A worker with its engine, running."""

    def __init__(self, store: EventStore, office: Office, name: str, *code: Any, **options: Any) -> None:
        self.engine = engine_on(store, worker=name, owners=office, idle_after_s=1)
        self.engine.register(*code)
        self.worker = Worker(self.engine, **options)
        self.running = asyncio.create_task(self.worker.run())

    async def stop(self) -> int:
        self.worker.stop()
        return await self.running

    async def die(self, office: Office) -> None:
        """As a crash would have it: nothing is recorded any more, and others see it once its lease is over."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        name = self.engine.worker
        await self.engine.close()
        office.dead.add(name)
        await asyncio.sleep(0.001)  # what it had under way has gone with it


async def submit(store: EventStore, flow: Any, *ids: str, given: Any = None) -> None:
    async with engine_on(store) as engine:
        for id_ in ids:
            await engine.submit(flow, given, id=id_)


def statuses(store: EventStore) -> dict[str, str]:
    return {row["id"]: row["status"] for row in store.view("executions")}


def all_are(store: EventStore, status: str) -> bool:
    return set(statuses(store).values()) == {status}


class Bench:
    """A workflow of two steps that take a second each, and who is in one at the moment."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.most = 0
        self.order: list[str] = []

        @step
        async def work(id_: str) -> None:
            self.order.append(id_)
            self.now.add(id_)
            self.most = max(self.most, len(self.now))
            try:
                await asyncio.sleep(1)
            finally:
                self.now.discard(id_)

        @workflow(name="works")
        async def works(ctx: Any) -> None:
            await work(ctx.execution)
            await work(ctx.execution)

        self.flow = works


@workflow
async def asks(ctx: Any) -> Any:
    return await ctx.approve(Approval("Go on?", name="ok"))


@workflow
async def naps(ctx: Any) -> None:
    await ctx.sleep(10)


# -- taking ----------------------------------------------------------------------------------------------------------


def test_a_worker_finishes_what_was_submitted() -> None:
    """The oldest first, and no more under way than it may have; what is submitted later as well."""
    store, bench = MemoryStore(), Bench()

    async def main() -> None:
        await submit(store, bench.flow, "a", "b", "c", "d", "e")
        hired = Hired(store, Office(), "w-1", bench.flow, concurrency=2)
        await until(lambda: all_are(store, "completed"))
        await submit(store, bench.flow, "f")
        await until(lambda: all_are(store, "completed"))
        assert await hired.stop() == 0

    virtually(main())
    sound(store)
    assert bench.most == 2
    assert list(dict.fromkeys(bench.order)) == ["a", "b", "c", "d", "e", "f"]
    assert len(bench.order) == 12


def test_what_waits_takes_no_room() -> None:
    """A worker for one at a time holds any number that wait, and hears each of them."""
    store, bench = MemoryStore(), Bench()

    async def main() -> None:
        await submit(store, asks, *(f"ask-{n}" for n in range(20)))
        await submit(store, naps, *(f"nap-{n}" for n in range(20)))
        await submit(store, bench.flow, "z")
        hired = Hired(store, Office(), "w-1", asks, naps, bench.flow, concurrency=1)
        await until(lambda: statuses(store)["z"] == "completed")
        async with engine_on(store) as outside:
            for n in range(20):
                await outside.approve(f"ask-{n}", "ok", by="p-1")
        await until(lambda: all_are(store, "completed"))
        await hired.stop()

    virtually(main())
    sound(store)


def test_what_is_urgent_is_taken_first() -> None:
    """By priority, whatever its age; among equals the oldest first; below nothing said comes what is less than that."""
    store, office, begun = MemoryStore(), Office(), []

    @step
    async def begin(id_: str) -> None:
        begun.append(id_)

    @workflow(name="note")
    async def note(ctx: Any) -> None:
        await begin(ctx.execution)

    async def main() -> None:
        async with engine_on(store) as engine:
            for id_, priority in (("idle", -1), ("old", None), ("urgent", 5), ("young", None), ("more urgent", 9)):
                await engine.submit(note, id=id_, priority=priority)
                await asyncio.sleep(1)
        worker = Hired(store, office, "w-1", note, concurrency=1)
        await until(lambda: len(begun) == 5)
        await worker.stop()
        await worker.engine.close()

    virtually(main())

    assert begun == ["more urgent", "urgent", "old", "young", "idle"]


def test_a_worker_takes_only_the_workflows_it_is_for() -> None:
    """The others are left for others, without a word about them."""
    store, bench = MemoryStore(), Bench()

    async def main() -> None:
        await submit(store, bench.flow, "mine")
        await submit(store, naps, "other")
        hired = Hired(store, Office(), "w-1", bench.flow, naps, workflows=["works"])
        await until(lambda: statuses(store)["mine"] == "completed")
        await asyncio.sleep(60)
        await hired.stop()

    virtually(main())
    assert history(store, "other") == ["execution.started"]


def test_what_cannot_run_here_is_left_and_seen() -> None:
    """An execution whose code is not here is not claimed; the reason can be asked for; the others go on."""
    store, bench, office = MemoryStore(), Bench(), Office()

    @workflow(name="nowhere")
    async def nowhere(ctx: Any) -> None: ...

    async def main() -> None:
        await submit(store, nowhere, "lost")
        await submit(store, bench.flow, "fine")
        hired = Hired(store, office, "w-1", bench.flow)
        await until(lambda: statuses(store)["fine"] == "completed")
        await asyncio.sleep(5)
        (told,) = office.living()
        assert list(told.about["refused"]) == ["lost"]
        assert "NoCode" in told.about["refused"]["lost"]
        hired.engine.register(nowhere)  # it has come
        await until(lambda: statuses(store)["lost"] == "completed")
        await hired.stop()

    virtually(main())
    assert history(store, "lost") == ["execution.started", "execution.claimed", "execution.completed"]


def test_the_executions_of_a_dead_worker_are_taken_over() -> None:
    """Those that ran and those that only waited: they are heard and woken by whoever has them now."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "runs")
        await submit(store, asks, "asks")
        await submit(store, naps, "naps")
        first = Hired(store, office, "w-1", bench.flow, asks, naps)
        await until(lambda: bench.now and len(store.view("executions", {"owner": "w-1"})) == 3)
        await asyncio.sleep(0.1)
        await first.die(office)
        second = Hired(store, office, "w-2", bench.flow, asks, naps)
        await until(lambda: statuses(store)["runs"] == statuses(store)["naps"] == "completed")
        async with engine_on(store) as outside:
            await outside.approve("asks", "ok", by="p-1")
        await until(lambda: all_are(store, "completed"))
        await second.stop()

    virtually(main())
    sound(store)
    assert {row["owner"] for row in store.view("executions")} == {"w-2"}


def test_an_execution_that_was_let_go_of_by_its_own_worker_is_begun_again() -> None:
    """A bug, or a store that was away for long: the worker lives, so nobody else would take it."""
    store, bench = MemoryStore(), Bench()

    async def main() -> None:
        await submit(store, bench.flow, "a")
        hired = Hired(store, Office(), "w-1", bench.flow)
        await until(lambda: bench.now)
        hired.engine._runs["a"].drop(RuntimeError("a bug"))
        await until(lambda: all_are(store, "completed"))
        await hired.stop()

    virtually(main())
    sound(store)


# -- stopping --------------------------------------------------------------------------------------------------------


def test_stopping_lets_attempts_end_and_begins_nothing() -> None:
    """What ran is recorded, the step after it is another worker's, at once; nothing is done twice or in doubt."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "a", "b", "c")
        first = Hired(store, office, "w-1", bench.flow, concurrency=2)
        await until(lambda: len(bench.now) == 2)
        assert await first.stop() == 0
        at = asyncio.get_running_loop().time()
        assert history(store, "a")[-1] == "step.completed work#0"
        assert history(store, "c") == ["execution.started"]
        assert not office.living()
        second = Hired(store, office, "w-2", bench.flow)
        await until(lambda: len(bench.now) == 3)
        assert asyncio.get_running_loop().time() - at < 0.2
        await until(lambda: all_are(store, "completed"))
        await second.stop()

    virtually(main())
    sound(store)
    assert sorted(bench.order) == ["a", "a", "b", "b", "c", "c"]
    assert not list(store.read(types=["step.in_doubt"]))


def test_stopping_waits_no_longer_than_it_may() -> None:
    """An attempt that takes too long is cut off: it is in doubt, and whoever goes on makes it again."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "a")
        first = Hired(store, office, "w-1", bench.flow, drain_timeout_s=0.3)
        await until(lambda: bench.now)
        began = asyncio.get_running_loop().time()
        assert await first.stop() == 1
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.3, abs=0.05)
        second = Hired(store, office, "w-2", bench.flow)
        await until(lambda: all_are(store, "completed"))
        await second.stop()

    virtually(main())
    sound(store)
    assert history(store, "a")[3:7] == [
        "execution.released",
        "execution.claimed",
        "step.in_doubt work#0",
        "step.started work#0 (2)",
    ]


def test_being_cut_off_is_no_step_towards_poison() -> None:
    """However often a worker is told to stop while a step runs: nobody died of it."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "a")
        for life in range(8):
            hired = Hired(store, office, f"w-{life}", bench.flow, drain_timeout_s=0)
            await until(lambda: bench.now)
            assert await hired.stop() == 1
            await asyncio.sleep(0.001)
        assert statuses(store) == {"a": "running"}
        assert fold("a", store.read_stream("execution/a")).recoveries == 0
        last = Hired(store, office, "last", bench.flow)
        await until(lambda: all_are(store, "completed"))
        await last.stop()

    virtually(main())
    sound(store)


def test_a_worker_whose_services_are_not_all_there_takes_nothing() -> None:
    """What a registered workflow asks for is looked at before anything is taken; the missing one is named."""
    store, office = MemoryStore(), Office()

    @step(services=["db"])
    async def asks_for_db(db: Any) -> None: ...

    @workflow
    async def needs(ctx: Any) -> None:
        await asks_for_db()

    async def main() -> None:
        await submit(store, needs, "a")
        hired = Hired(store, office, "w-1", needs)
        with pytest.raises(MissingService, match="'db'"):
            await hired.running
        async with engine_on(store, worker="w-2", owners=office) as engine:
            engine.register(needs)
            with pytest.raises(MissingService, match="'db'"):
                await engine.resume("a")
            with pytest.raises(MissingService, match="'db'"):
                await engine.start(needs)
        async with engine_on(store, worker="w-3", owners=office, services={"dbs": None}) as engine:
            with pytest.raises(MissingService, match="did you mean 'dbs'"):
                await engine.submit(needs, id="b")
        await hired.engine.close()

    virtually(main())
    assert history(store, "a") == ["execution.started"]
    assert store.stream_version("execution/b") == 0


# -- suspects --------------------------------------------------------------------------------------------------------


def test_suspects_come_last_and_one_at_a_time() -> None:
    """What was under way when its worker died twice is begun after all others, and never two of them at once."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "s1", "s2", "s3")
        for life in range(2):
            hired = Hired(store, office, f"w-{life}", bench.flow)
            await until(lambda: len(bench.now) == 3)
            await hired.die(office)
        await submit(store, bench.flow, "new")
        bench.order.clear()
        bench.most = 0
        last = Hired(store, office, "w-9", bench.flow)
        await until(lambda: bench.now)
        await asyncio.sleep(0.1)
        assert bench.order[0] == "new"
        await until(lambda: all_are(store, "completed"))
        await last.stop()

    virtually(main())
    sound(store)
    assert bench.most == 2  # one suspect beside the new one
    assert bench.order.count("s1") == 2


def test_what_takes_down_every_worker_is_parked() -> None:
    """After five recoveries without progress it is left to a person, who is told the step; going on by hand works."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "a")
        for life in range(6):
            hired = Hired(store, office, f"w-{life}", bench.flow)
            await until(lambda: bench.now)
            assert statuses(store)["a"] == "running"
            await hired.die(office)
        last = Hired(store, office, "w-9", bench.flow)
        await until(lambda: statuses(store)["a"] == "parked")
        await last.stop()
        assert len(bench.order) == 6
        (parked,) = fleet(store)["parked"]
        assert (parked["id"], parked["reason"], parked["step"]) == ("a", "poison", "work")
        assert "died 6 times while work#0 ran" in parked["detail"]
        async with engine_on(store, owners=office, worker="w-10") as engine:
            engine.register(bench.flow)
            await (await engine.resume("a")).result()

    virtually(main())
    sound(store)
    assert statuses(store) == {"a": "completed"}


def test_taking_over_what_only_waits_is_no_sign_of_poison() -> None:
    """However many workers come and go while it waits for a person."""
    store, office = MemoryStore(), Office()

    async def main() -> None:
        await submit(store, asks, "a")
        for life in range(9):
            hired = Hired(store, office, f"w-{life}", asks)
            await until(lambda name=f"w-{life}": store.view("executions", {"owner": name, "status": "waiting"}))
            await hired.die(office)

    virtually(main())
    sound(store)
    assert fold("a", store.read_stream("execution/a")).recoveries == 0


def test_progress_clears_the_name() -> None:
    """What came to an end between two deaths counts: the recoveries before it are forgotten."""
    store, bench, office = MemoryStore(), Bench(), Office()

    async def main() -> None:
        await submit(store, bench.flow, "a")
        for life in range(4):
            hired = Hired(store, office, f"w-{life}", bench.flow)
            await until(lambda: bench.now)
            if life == 3:
                await until(lambda: "step.completed work#0 (4)" in history(store, "a"))
            await hired.die(office)

    virtually(main())
    state = fold("a", store.read_stream("execution/a"))
    assert state.recoveries == 0
    assert history(store, "a").count("execution.claimed") == 4


def test_the_fleet_is_seen_from_the_store() -> None:
    """What is due and nobody's is listed with the reason."""
    store, bench = MemoryStore(), Bench()

    async def main() -> Engine:
        await submit(store, bench.flow, "a")
        return engine_on(store)

    virtually(main())
    (due,) = fleet(store)["due"]
    assert (due["id"], due["owner"], due["why"]) == ("a", None, "nobody has taken it yet")
