"""The engine on real stores: attempts that began and whose end nobody recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import Engine, step, workflow
from actum.errors import ExecutionParked
from actum.eventstore import EventStore
from tests.engine.runtime.running import ended
from tests.engine.world import history, really, until


def in_doubt(store: EventStore, flow: Any, running: list[int], then: Any) -> Any:
    """Let an engine go once its first step is `running`, and give the next one to `then`."""

    async def main() -> Any:
        async with Engine(store) as first:
            await first.start(flow, id="one")
            await until(lambda: running)
        async with Engine(store, worker="w-2") as second:
            second.register(flow)
            return await then(second, await second.resume("one"))

    return really(main())


async def _result(_: Engine, handle: Any) -> Any:
    return await ended(handle)


@pytest.mark.parametrize(("found", "output"), [(41, 41), (None, 7)], ids=["happened", "did not"])
def test_a_step_in_doubt_is_verified_by_its_hook(store: EventStore, found: Any, output: int) -> None:
    """The hook gets the step's arguments: what it finds is the result, and if it finds nothing the step runs again."""
    count: list[int] = []

    async def look(n: int) -> Any:
        return found

    @step(on_doubt="verify", verify=look)
    async def charge(n: int) -> int:
        count.append(n)
        if len(count) == 1:
            await asyncio.Event().wait()
        return n

    @workflow
    async def flow(ctx: Any) -> int:
        return await charge(7)

    assert in_doubt(store, flow, count, _result) == output
    assert count == ([7] if found else [7, 7])
    assert history(store)[2:4] == ["execution.claimed", "step.in_doubt charge#0"]


def test_a_hook_that_fails_parks_the_execution(store: EventStore) -> None:
    """Nobody knows whether it happened: that is recorded, and a person's resuming runs the step again."""

    async def look() -> None:
        raise ConnectionError("no route")

    count: list[int] = []

    @step(on_doubt="verify", verify=look)
    async def charge() -> int:
        count.append(1)
        if len(count) == 1:
            await asyncio.Event().wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await charge()

    async def then(engine: Engine, handle: Any) -> Any:
        assert isinstance(await ended(handle), ExecutionParked)
        assert await engine.recover() == ([], {})
        (parked,) = store.read(types=["execution.parked"])
        assert parked.value() == {"detail": "asking whether it happened failed: ConnectionError: no route"}
        return await ended(await engine.resume("one"))

    assert in_doubt(store, flow, count, then) == 2


def test_a_dangerous_step_in_doubt_parks_the_execution(store: EventStore) -> None:
    """It is not repeated by itself; any worker may go on once a person says so, though the one that parked it lives."""
    count: list[int] = []

    @step(on_doubt="park")
    async def pay() -> int:
        count.append(1)
        if len(count) == 1:
            await asyncio.Event().wait()
        return len(count)

    @workflow
    async def flow(ctx: Any) -> int:
        return await pay()

    async def then(engine: Engine, handle: Any) -> Any:
        error = await ended(handle)
        assert isinstance(error, ExecutionParked)
        assert "'pay' is in doubt" in str(error)
        assert len(count) == 1
        (row,) = store.view("executions")
        assert row["status"] == "parked"
        async with Engine(store, worker="w-3") as third:
            third.register(flow)
            return await ended(await third.resume("one"))

    assert in_doubt(store, flow, count, then) == 2


def test_a_compensation_cut_off_is_begun_again(store: EventStore) -> None:
    """An engine that goes in the middle of undoing leaves it to the next, which undoes all that is left."""
    undone: list[int] = []
    go = asyncio.Event()

    async def undo(n: int) -> None:
        undone.append(n)
        if n == 1:
            await go.wait()

    @step(compensate=undo)
    async def charge(n: int) -> int:
        return n

    @workflow
    async def flow(ctx: Any) -> None:
        await charge(0)
        await charge(1)
        raise ValueError("boom")

    async def main() -> Any:
        async with Engine(store) as first:
            await first.start(flow, id="one")
            await until(lambda: undone == [1])
        go.set()
        async with Engine(store) as second:
            second.register(flow)
            return await ended(await second.resume("one"))

    assert really(main()).error_type == "ValueError"
    assert undone == [1, 1, 0]
