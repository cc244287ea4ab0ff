"""The engine on real stores: starting under an id, and going on where another process ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Engine, step, workflow
from actum.errors import BadInput, OwnedElsewhere, StoreUnavailable, UnknownExecution
from actum.eventstore import Batch, EventStore, open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.runtime.running import Order, plus_one, run
from tests.engine.world import Between, brief, engine_on, history, really, sound, until, virtually


@pytest.mark.parametrize(
    "given",
    [{"item": "tea"}, {"item": "tea", "amount": "many"}, 5, None, object(), "x" * 300_000],
    ids=["missing", "wrong-type", "number", "none", "object", "too-long"],
)
def test_a_bad_input_writes_nothing(store: EventStore, given: Any) -> None:
    """Not the start, not even the definition: the log is as empty as it was."""

    @workflow
    async def flow(ctx: Any, order: Order) -> None: ...

    async def main() -> None:
        async with Engine(store) as engine:
            with pytest.raises(BadInput):
                await engine.start(flow, given, id="one")

    really(main())
    assert store.head() == 0


@pytest.mark.parametrize("id_", ["a/b", "x" * 201, "a\nb"], ids=["slash", "long", "newline"])
def test_a_bad_id_writes_nothing(store: EventStore, id_: str) -> None:
    """An id must be fit for a stream's name."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    async def main() -> None:
        async with Engine(store) as engine:
            with pytest.raises(BadInput, match="1 to 200"):
                await engine.start(flow, id=id_)

    really(main())
    assert store.head() == 0


def test_starting_a_known_id_attaches_to_it(store: EventStore) -> None:
    """Running, ended or left behind: the same id is the same execution, and nothing runs twice."""
    go, count = asyncio.Event(), []

    @step
    async def once() -> int:
        count.append(1)
        await go.wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await once()

    async def main() -> None:
        async with Engine(store) as engine:
            first = await engine.start(flow, id="one")
            second = await engine.start(flow, id="one")
            go.set()
            assert [await first.result(), await second.result()] == [1, 1]
            third = await engine.start(flow, id="one")
            assert third.done
            assert await third.result() == 1
        async with Engine(store) as other:
            assert await (await other.start(flow, id="one")).result() == 1

    really(main())
    assert history(store).count("execution.started") == 1
    assert "execution.claimed" not in history(store)


def test_the_definition_is_published_once(store: EventStore) -> None:
    """Executions name the digest of their code, and the log has the code under it."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    for id_ in ("one", "two"):
        run(store, flow, id=id_)

    (published,) = store.read(types=["workflow.published"])
    assert published.facts["definition"] == flow.definition
    assert "async def flow" in published.value()["source"]


def test_an_unknown_execution_is_named_with_a_hint(store: EventStore) -> None:
    """Resuming what is not there says so, and what it may have meant."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    async def main() -> None:
        async with Engine(store) as engine:
            await (await engine.start(flow, id="order-17")).result()
            with pytest.raises(UnknownExecution, match="did you mean 'order-17'"):
                await engine.resume("order-71")

    really(main())


def test_what_a_living_worker_runs_is_left_to_it(tmp_path: Path) -> None:
    """A second engine on the same file neither resumes nor recovers it, until the first has let go."""
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    go = asyncio.Event()

    @step
    async def waits() -> int:
        await go.wait()
        return 1

    @workflow
    async def flow(ctx: Any) -> int:
        return await waits()

    async def main() -> None:
        async with Engine(store) as second:
            second.register(flow)
            async with Engine(store) as first:
                await first.start(flow, id="one")
                await until(lambda: history(store)[1:] == ["step.started waits#0"])
                with pytest.raises(OwnedElsewhere):
                    await second.resume("one")
                assert await second.recover() == ([], {})
            go.set()
            (handle,), refused = await second.recover()
            assert (await handle.result(), refused) == (1, {})

    really(main())
    assert history(store)[2:] == [
        "execution.claimed",
        "step.in_doubt waits#0",
        "step.started waits#0 (2)",
        "step.completed waits#0 (2)",
        "execution.completed",
    ]
    sound(store)
    store.close()


def test_recovery_goes_on_past_what_cannot_be_recovered(store: EventStore) -> None:
    """One that diverged, one without code and one that is fine: the fine one finishes, the others are named."""
    go = asyncio.Event()

    @step
    async def waits(x: Any = None) -> int:
        await go.wait()
        return 1

    @workflow(name="fine")
    async def fine(ctx: Any) -> int:
        return await waits()

    @workflow(name="changed")
    async def before(ctx: Any) -> int:
        return await waits()

    @workflow(name="changed")
    async def after(ctx: Any) -> int:
        return await plus_one(1)

    @workflow(name="gone")
    async def gone(ctx: Any) -> int:
        return await waits()

    async def main() -> None:
        async with Engine(store) as first:
            for flow in (before, gone, fine):
                await first.start(flow, id=flow.name)
            await until(lambda: sum("step.started" in w for w in map(brief, store.read())) == 3)
        go.set()
        async with Engine(store) as second:
            second.register(fine, after)
            (handle,), refused = await second.recover()
            assert await handle.result() == 1
            assert {id_: type(exc).__name__ for id_, exc in refused.items()} == {
                "changed": "ReplayDiverged",
                "gone": "NoCode",
            }

    really(main())
    assert history(store, "changed")[2:] == ["replay.diverged", "execution.parked"]
    assert len(history(store, "gone")) == 2


def test_an_engine_recovers_what_it_had_to_let_go_of() -> None:
    """When the store was away for too long, the same engine takes its own back, once it is there again."""
    inner = MemoryStore()
    away: list[int] = []

    def sometimes(number: int, batch: Batch) -> Exception | None:
        return Between.LOST if away else None

    store: Any = Between(inner, sometimes)
    count: list[int] = []

    @step
    async def leave() -> int:
        if not count:
            away.append(1)
        count.append(1)
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await leave()

    async def main() -> None:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            with pytest.raises(StoreUnavailable):
                await handle.result()
            away.clear()
            (again,), refused = await engine.recover()
            assert (await again.result(), refused) == (2, {})

    virtually(main())
    sound(inner)


def test_leaving_an_engine_runs_nothing_of_what_it_lets_go(store: EventStore) -> None:
    """A workflow's `finally` is no step of a closed engine: it is run, recorded, by the next one."""
    cleaned: list[int] = []
    go = asyncio.Event()

    @step
    def clean_up() -> None:
        cleaned.append(1)

    @step
    async def waits() -> int:
        await go.wait()
        return 1

    @workflow
    async def flow(ctx: Any) -> int:
        try:
            return await waits()
        finally:
            await clean_up()

    async def main() -> None:
        async with Engine(store) as first:
            await first.start(flow, id="one")
            await until(lambda: len(history(store)) == 2)
        assert cleaned == []
        go.set()
        async with Engine(store) as second:
            second.register(flow)
            assert await (await second.resume("one")).result() == 1

    really(main())
    assert cleaned == [1]
    assert history(store)[-3:] == ["step.started clean_up#0", "step.completed clean_up#0", "execution.completed"]
