"""The engine on real stores: a store that fails, and others that write to the same execution."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Engine, step, workflow
from actum.errors import ExecutionFailed, Fenced, OwnedElsewhere, StoreError, StoreRefused, StoreUnavailable
from actum.eventstore import Batch, EventStore, open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.runtime.running import asked, ended, flaky, guarded, plus_one
from tests.engine.world import Between, engine_on, history, really, sound, until, virtually

# -- a store that fails ----------------------------------------------------------------------------------------------


async def _undo(x: Any) -> None: ...


@step(compensate=_undo)
async def reserve(n: int) -> int:
    return n


@workflow(name="eventful")
async def eventful(ctx: Any, fail: bool) -> Any:
    first = await reserve(1)
    rest = await ctx.gather(reserve(2), flaky(), ctx.sleep(3))
    if fail:
        raise ValueError("boom")
    return [first, *rest]


def eventfully(store: Any, fail: bool) -> Any:
    """Run the eventful workflow in virtual time; a start whose answer was lost is asked for again."""

    async def main() -> Any:
        async with engine_on(store) as engine:
            try:
                handle = await engine.start(eventful, fail, id="one")
            except StoreUnavailable:
                handle = await engine.start(eventful, fail, id="one")
            return await ended(handle)

    found = virtually(main())
    return (found.status, found.error_type) if isinstance(found, ExecutionFailed) else found


@pytest.mark.parametrize("fail", [False, True], ids=["completes", "fails"])
@pytest.mark.parametrize("fault", [Between.LOST, Between.LANDED], ids=["lost", "landed"])
def test_an_append_without_an_answer_changes_nothing(fail: bool, fault: Exception) -> None:
    """Whichever append of the run it is, before or after it landed: same events, each once, same end, same views."""
    calm = MemoryStore()
    counter: Any = Between(calm, lambda number, batch: None)
    wanted = eventfully(counter, fail)
    assert wanted == (("failed", "ValueError") if fail else [1, 2, 2, None])
    assert counter.count > 6

    for nth in range(1, counter.count + 1):
        inner = MemoryStore()
        faulty: Any = Between(inner, lambda number, batch, nth=nth: fault if number == nth else None)  # type: ignore[misc]
        assert eventfully(faulty, fail) == wanted
        assert sorted(history(inner)) == sorted(history(calm))
        sound(inner)


@pytest.mark.parametrize("fault", [Between.LOST, Between.LANDED], ids=["lost", "landed"])
def test_an_append_that_is_tried_again_is_the_same_append(fault: Exception) -> None:
    """The same events under the same ids: only so can the store tell that it has them already."""
    tried: list[list[tuple[str, str]]] = []

    def before(number: int, batch: Batch) -> Exception | None:
        tried.append([(append.stream, event.id) for append in batch for event in append.events])
        return fault if number == 3 else None

    eventfully(Between(MemoryStore(), before), True)

    assert tried[3] == tried[2]
    ids = [id_ for batch in tried[:3] + tried[4:] for _, id_ in batch]
    assert len(ids) == len(set(ids))


def test_a_store_that_refuses_for_a_while_is_waited_for() -> None:
    """A locked or full store is never a step's failure."""
    inner = MemoryStore()
    refusal = StoreRefused("memory://", "the disk is full")
    store: Any = Between(inner, lambda number, batch: refusal if 3 <= number <= 7 else None)

    assert eventfully(store, False) == [1, 2, 2, None]
    assert not [e for e in inner.read(types=["step.failed"]) if e.facts["error_type"] != "ConnectionError"]
    sound(inner)


def test_a_store_that_stays_away_lets_go_of_the_execution() -> None:
    """After half a minute the waiter is told; nothing was recorded that did not happen."""
    inner = MemoryStore()
    store: Any = Between(inner, lambda number, batch: Between.LOST if number > 3 else None)

    with pytest.raises(StoreUnavailable):
        eventfully(store, False)

    sound(inner)


# -- others that write -----------------------------------------------------------------------------------------------


@workflow(name="busy")
async def busy(ctx: Any) -> Any:
    async def work() -> int:
        total = 0
        for n in range(3):
            total += await counted(n)
        return total

    decisions = await ctx.gather(ctx.approve(Approval("?", name="ok")), work(), ctx.approve(Approval("?", name="late")))
    return [decisions[1], await counted(9)]


COUNTED: list[int] = []


@step
async def counted(n: int) -> int:
    COUNTED.append(n)
    await asyncio.sleep(0.01)
    return n


@pytest.mark.parametrize("nth", range(3, 6))
def test_an_answer_from_outside_in_the_middle_costs_nothing(nth: int) -> None:
    """Whichever append it comes just ahead of: the conflict is absorbed, no result is lost, and no step runs twice."""
    COUNTED.clear()
    inner = MemoryStore()
    outside = somebody(inner)

    def person(number: int, batch: Batch) -> Exception | None:
        if number == nth:
            outside("one", "ok")
        return None

    store: Any = Between(inner, person)

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(busy, id="one")
            await until(lambda: inner.view("approvals", {"status": "granted"}))
            await engine.approve("one", "late", by="p-2")
            return await handle.result()

    assert virtually(main()) == [3, 9]
    assert COUNTED == [0, 1, 2, 9]
    sound(inner)


def somebody(store: EventStore) -> Any:
    """A person at another program's keyboard."""
    from actum.engine.runtime.approvals import answer_approval
    from tests.engine.world import VirtualWorld

    return lambda id_, name: answer_approval(store, VirtualWorld(), id_, name, granted=True, by="p-1")


def test_an_answer_from_outside_does_not_stop_a_takeover() -> None:
    """A decision that comes between loading and claiming makes the claim conflict; it is claimed all the same."""
    inner = MemoryStore()
    outside = somebody(inner)
    armed: list[int] = []

    def person(number: int, batch: Batch) -> Exception | None:
        if armed and any(event.type == "execution.claimed" for event in batch[0].events):
            armed.clear()
            outside("one", "ok")
        return None

    store: Any = Between(inner, person)

    async def main() -> Any:
        async with engine_on(store) as first:
            await first.start(guarded, id="one")
            await asked(inner)
        armed.append(1)
        async with engine_on(store) as second:
            second.register(guarded)
            return await (await second.resume("one")).result()

    assert virtually(main()) == ["shipped", "p-1", ""]
    sound(inner)


def test_an_answer_from_outside_does_not_stop_the_clock() -> None:
    """When the decision on one question conflicts with the firing of a timer, the timer fires all the same."""
    inner = MemoryStore()
    outside = somebody(inner)

    def person(number: int, batch: Batch) -> Exception | None:
        first = batch[0].events[0].type
        if first == "timer.fired" and inner.view("approvals", {"status": "waiting"}):
            outside("one", "ok")
        return None

    store: Any = Between(inner, person)

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(ctx.approve(Approval("?", name="ok")), ctx.sleep(5), ctx.sleep(10))

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(flow, id="one")).result()

    assert virtually(main())[1:] == [None, None]
    sound(inner)


@pytest.mark.parametrize("finished", [False, True], ids=["still running", "finished"])
def test_a_worker_that_lost_its_execution_records_nothing(store: EventStore, finished: bool) -> None:
    """After the other's claim, nothing of what the stale one had planned is written, and its waiter is told."""
    if store.url != "memory://":
        pytest.skip("two engines that take each other for dead need a store without owners' locks")
    gates = {"w-1": asyncio.Event(), "w-2": asyncio.Event()}
    ran: list[str] = []

    def flow_of(worker: str) -> Any:
        @step(name="work")
        async def work() -> str:
            await gates[worker].wait()
            ran.append(worker)
            return worker

        @workflow(name="flow")
        async def flow(ctx: Any) -> str:
            return await work()

        return flow

    async def main() -> Any:
        async with Engine(store, worker="w-1") as stale, Engine(store, worker="w-2") as owner:
            lost = await stale.start(flow_of("w-1"), id="one")
            await until(lambda: len(history(store)) == 2)
            owner.register(flow_of("w-2"))
            kept = await owner.resume("one")
            await until(lambda: len(history(store)) == 5)
            if finished:
                gates["w-2"].set()
                await kept.result()
            gates["w-1"].set()
            await until(lambda: ran)
            told = await ended(lost)
            gates["w-2"].set()
            return told, await kept.result()

    told, output = really(main())

    assert output == "w-2"
    assert told == "w-2" if finished else isinstance(told, Fenced)
    claimed = history(store).index("execution.claimed")
    assert {event.actor.ref for event in store.read_stream("execution/one")[claimed:]} == {"w-2"}


def test_two_engines_that_start_the_same_id_start_it_once(store: EventStore) -> None:
    """Whoever comes second attaches, or is told that the other owns it; there is one beginning."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return await plus_one(x)

    async def main() -> list[Any]:
        async with Engine(store) as first, Engine(store) as second:
            found = []
            for engine in (first, second):
                try:
                    found.append(await engine.start(flow, 1, id="one"))
                except OwnedElsewhere as exc:
                    found.append(exc)
            return [exc if isinstance(exc, Exception) else await ended(exc) for exc in found]

    found = really(main())

    assert 2 in found
    assert all(one == 2 or isinstance(one, (Fenced, OwnedElsewhere)) for one in found)
    assert history(store).count("execution.started") == 1


def test_a_closed_store_is_the_waiters_error(tmp_path: Path) -> None:
    """An engine on a closed store neither hangs nor records: who waits hears of it when the engine is left."""
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    go = asyncio.Event()

    @step
    async def waits() -> None:
        await go.wait()

    @workflow
    async def flow(ctx: Any) -> None:
        await waits()

    async def main() -> None:
        async with Engine(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: len(history(store)) == 2)
            store.close()
            go.set()
            await asyncio.sleep(0)
        with pytest.raises((ExecutionFailed, StoreError)):
            await handle.result()

    really(main())
