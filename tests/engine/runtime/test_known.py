"""Asking many things of one execution: each reads what is new of it, and says what a fold of all would say."""

from __future__ import annotations

from typing import Any

import pytest

from actum.engine import Approval, step, workflow
from actum.engine.rules.folding import fold
from actum.engine.runtime.known import Known
from actum.engine.runtime.signals import send_signal
from actum.errors import StoreRefused
from actum.events import Actor, RecordedEvent
from actum.eventstore.memory import MemoryStore
from tests.engine.world import Between, VirtualWorld, engine_on, sound, until, virtually

PERSON = Actor("person", "p-1")


class Counting(MemoryStore):
    """Counts the events of streams that are read."""

    read_events = 0

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        found = super().read_stream(stream, from_version, to_version)
        self.read_events += len(found)
        return found


@step
async def one(n: int) -> int:
    return n


@workflow
async def hears(ctx: Any, many: int) -> int:
    await ctx.gather(*(one(n) for n in range(many)))
    return sum([await ctx.wait_signal("more") for _ in range(many)])


@workflow
async def asks(ctx: Any, many: int) -> None:
    await ctx.gather(*(ctx.approve(Approval("Go on?", name=f"ok{n}")) for n in range(many)))


def test_many_signals_cost_what_one_costs_each() -> None:
    """A signal reads what has been added since the last one, not the whole of a wide execution."""
    store = Counting()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(hears, 200, id="one")
            await until(lambda: store.view("executions")[0]["status"] == "waiting")
            before = store.read_events
            for n in range(200):
                await engine.signal("one", "more", n)
            assert store.read_events - before < 10 * 200 + store.stream_version("execution/one")
            return await handle.result()

    assert virtually(main()) == sum(range(200))
    sound(store)


def test_many_answers_cost_what_one_costs_each() -> None:
    """As for signals; and each writes the row of its own question, not those of all."""
    store = Counting()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(asks, 200, id="one")
            await until(lambda: len(store.view("approvals")) == 200)
            before = store.read_events
            for n in range(200):
                await engine.approve("one", f"ok{n}", by="p-1")
            assert store.read_events - before < 10 * 200 + store.stream_version("execution/one")
            await handle.result()

    virtually(main())
    sound(store)


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_what_was_not_recorded_for_sure_is_folded_anew(landed: bool) -> None:
    """A state that says more than the log, or that somebody may say it of, is never used again."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.submit(hears, 2, id="one")
        answers = [None, Between.LANDED if landed else StoreRefused("memory://", "full"), None]
        flaky = Between(store, lambda number, batch: answers[number - 1])
        known, world = Known(flaky), VirtualWorld()  # type: ignore[arg-type]
        for n, answer in enumerate(answers):
            try:
                send_signal(flaky, world, "one", "more", n, by=PERSON, known=known)  # type: ignore[arg-type]
            except Exception as exc:
                assert exc is answer
        state, log = known.take("one"), store.read_stream("execution/one")
        assert state.version == len(log)
        assert state.signals == fold("one", log).signals

    virtually(main())
    assert store.stream_version("execution/one") == (4 if landed else 3)
    sound(store)


def test_only_the_last_few_are_kept() -> None:
    """What was asked of longest ago is folded from its beginning again."""
    store = Counting()

    async def main() -> None:
        async with engine_on(store) as engine:
            for n in range(3):
                await engine.submit(hears, 2, id=f"e{n}")
        known, world = Known(store, room=2), VirtualWorld()

        def cost(id_: str) -> int:
            before = store.read_events
            send_signal(store, world, id_, "more", 1, by=PERSON, known=known)
            return store.read_events - before

        assert [cost(id_) for id_ in ("e0", "e1", "e0", "e2", "e0", "e1")] == [1, 1, 0, 1, 0, 2]

    virtually(main())
