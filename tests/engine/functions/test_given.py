"""Replay holds what steps are asked for with against what is recorded of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum import Budget, step, workflow
from actum.errors import ReplayDiverged, StepFailed
from actum.eventstore.memory import MemoryStore
from tests.engine.functions.test_racing import quick
from tests.engine.world import engine_on, history, sound, until, virtually

ASKS: dict[str, Any] = {}


@step
async def charge(*args: Any, **kwargs: Any) -> str:
    return "charged"


@workflow
async def flow(ctx: Any) -> Any:
    await charge(*ASKS["args"], **ASKS["kwargs"])
    return await ctx.wait_signal("go")


def asking(*args: Any, **kwargs: Any) -> None:
    ASKS.update(args=args, kwargs=kwargs)


def recorded(store: MemoryStore) -> None:
    """The workflow has charged, and waits."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(flow, id="one")
            await until(lambda: store.view("executions", {"status": "waiting"}))

    virtually(main())


def resumed(store: MemoryStore) -> Any:
    async def main() -> Any:
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            handle = await engine.resume("one")
            await engine.signal("one", "go", 1)
            return await handle.result()

    return virtually(main())


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        (((3,), {}), ((4,), {}), "with its args[0], the code now asks for another args[0]"),
        (((3, "a"), {}), ((3,), {}), '"a" then, none now'),
        (((), {}), ((1,), {}), "none then, 1 now"),
        (((), {"to": {"iban": "x"}}), ((), {"to": {"iban": "y"}}), '{"iban":"x"} then, {"iban":"y"} now'),
        (((), {"to": 1}), ((), {"by": 1}), "with its argument to"),
        (((1,), {}), ((object(),), {}), "what cannot be recorded"),
    ],
)
def test_a_changed_argument_is_a_divergence(before: Any, now: Any, says: str) -> None:
    """It names the step, the argument and both values; the execution is parked, and no value stands in a fact."""
    store = MemoryStore()
    asking(*before[0], **before[1])
    recorded(store)
    asking(*now[0], **now[1])

    with pytest.raises(ReplayDiverged) as caught:
        resumed(store)

    assert "'charge#0'" in str(caught.value)
    assert says in str(caught.value)
    parked = store.read_stream("execution/one")[-2]
    assert parked.type == "replay.diverged"
    assert "then" not in str(parked.facts)
    asking(*before[0], **before[1])
    assert resumed(store) == 1
    sound(store)


def test_the_same_in_another_order_is_the_same() -> None:
    """Keys of objects have no order."""
    store = MemoryStore()
    asking({"a": 1, "b": [2]}, x=1, y=2)
    recorded(store)
    asking({"b": [2], "a": 1}, y=2, x=1)

    assert resumed(store) == 1


def test_what_a_workflow_changes_later_is_no_divergence() -> None:
    """Arguments are as they were when the step was asked for, also when several outcomes are told in one breath."""
    done = []

    @workflow
    async def shares(ctx: Any) -> Any:
        shared: list[int] = []

        async def branch(number: int) -> None:
            await quick()
            shared.append(number)
            await charge(shared)

        await ctx.gather(*(branch(number) for number in range(4)))
        await ctx.wait_signal("go")
        done.append(1)

    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(shares, id="one")
            await until(lambda: history(store).count("step.completed g0.3/charge#0"))
            await asyncio.sleep(0.01)
        async with engine_on(store, worker="w-2") as engine:
            engine.register(shares)
            handle = await engine.resume("one")
            await engine.signal("one", "go", 1)
            await handle.result()

    virtually(main())

    assert done == [1]
    sound(store)


def test_a_step_that_was_refused_is_asked_for_with_what_it_had() -> None:
    """A start that the budget refused, or that could not be recorded, replays as any other."""

    @workflow(budget=Budget(steps=1))
    async def refused(ctx: Any) -> Any:
        said = []
        for given in (object(), 5):
            try:
                await charge(given)
            except StepFailed as exc:
                said.append(exc.error_type)
        return [said, await ctx.wait_signal("go")]

    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            await engine.start(refused, id="one")
            await until(lambda: store.view("executions", {"status": "waiting"}))
        async with engine_on(store, worker="w-2") as engine:
            engine.register(refused)
            handle = await engine.resume("one")
            await engine.signal("one", "go", 1)
            return await handle.result()

    assert virtually(main()) == [["UnrecordableInput", "BudgetExceeded"], 1]
