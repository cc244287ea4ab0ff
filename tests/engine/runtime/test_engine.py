"""The engine on real stores: what it runs and records, from the start to the end."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

from actum.engine import Engine, current_step, step, workflow
from actum.eventstore import EventStore
from tests.engine.runtime.running import Order, Receipt, plus_one, run
from tests.engine.world import history, really


def test_a_workflow_runs_to_its_end(store: EventStore) -> None:
    """Each step is recorded before and after, and the end of one and the start of the next stand side by side."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return await plus_one(await plus_one(x))

    assert run(store, flow, 5) == 7
    assert history(store) == [
        "execution.started",
        "step.started plus_one#0",
        "step.completed plus_one#0",
        "step.started plus_one#1",
        "step.completed plus_one#1",
        "execution.completed",
    ]
    (row,) = store.view("executions")
    assert (row["status"], row["waiting_for"], row["wake_us"]) == ("completed", None, None)


def test_inputs_and_outputs_are_typed(store: EventStore) -> None:
    """Workflow and step get and give what they declare, live as on replay."""

    @step
    async def buy(order: Order) -> Receipt:
        return Receipt(order, 7)

    @workflow
    async def flow(ctx: Any, order: Order) -> Receipt:
        assert isinstance(order, Order)
        receipt = await buy(order)
        assert isinstance(receipt, Receipt)
        return receipt

    assert run(store, flow, Order("tea", 2)) == {"order": {"item": "tea", "amount": 2}, "number": 7}


def test_plain_functions_run_in_threads(store: EventStore) -> None:
    """A blocking step never holds up the event loop, and knows which step it is."""

    @step
    def where() -> list[str]:
        me = current_step()
        assert me is not None
        return [threading.current_thread().name, me.key]

    @workflow
    async def flow(ctx: Any) -> Any:
        return await where()

    thread, key = run(store, flow)

    assert thread.startswith("actum-step")
    assert key == "where#0"


def test_any_function_can_be_a_step(store: EventStore) -> None:
    """`ctx.step` needs no decorator, and takes what a plain function returns to be awaited as well."""

    async def later(x: int) -> int:
        return x * 2

    @workflow
    async def flow(ctx: Any) -> Any:
        return [await ctx.step("double", lambda: later(4)), await ctx.step("other", plus_one, 1)]

    assert run(store, flow) == [8, 2]
    assert "step.completed other#0" in history(store)


@dataclass
class Fetch:
    """A callable that cannot be hashed, as no dataclass can."""

    url: str

    def __call__(self) -> str:
        return self.url


@dataclass
class FetchLater(Fetch):
    async def __call__(self) -> str:  # type: ignore[override]
        return self.url


@pytest.mark.parametrize("kind", [Fetch, FetchLater])
def test_any_callable_can_be_a_step(store: EventStore, kind: type[Fetch]) -> None:
    """An object with a `__call__` will do, and the engine lets go of it when the step has run."""
    called: list[weakref.ref[Fetch]] = []

    @workflow
    async def flow(ctx: Any) -> Any:
        fetch = kind("here")
        called.append(weakref.ref(fetch))
        return await ctx.step("fetch", fetch)

    assert run(store, flow) == "here"
    gc.collect()
    assert [ref() for ref in called] == [None]


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_parallel_branches_overlap(store: EventStore, kind: str) -> None:
    """Three steps that wait for each other can only end if they run at the same time, and the log shows it."""
    together, in_threads = asyncio.Barrier(3), threading.Barrier(3, timeout=20)

    @step(name="meet")
    async def meet() -> None:
        await together.wait()

    @step(name="meet")
    def meet_in_threads() -> None:
        in_threads.wait()

    @workflow
    async def flow(ctx: Any) -> None:
        one = meet if kind == "async" else meet_in_threads
        await ctx.gather(one(), one(), one())

    run(store, flow)

    assert [word.partition(" ")[0] for word in history(store)[1:7]] == ["step.started"] * 3 + ["step.completed"] * 3


def test_executions_side_by_side_do_not_meet(store: EventStore) -> None:
    """Fifty executions in one engine each come to their own end."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return sum(await ctx.gather(plus_one(x), plus_one(x)))

    async def main() -> list[Any]:
        async with Engine(store) as engine:
            handles = [await engine.start(flow, n, id=f"n{n}") for n in range(50)]
            return await asyncio.gather(*(handle.result() for handle in handles))

    assert really(main()) == [2 * (n + 1) for n in range(50)]
