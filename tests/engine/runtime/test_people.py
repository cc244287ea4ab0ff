"""The engine on real stores: waiting for people and for times."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from actum.engine import Engine, workflow
from actum.errors import BadInput, NotWaiting, UnknownExecution
from actum.eventstore import EventStore
from actum.eventstore.memory import MemoryStore
from tests.engine.runtime.running import asked, guarded
from tests.engine.world import engine_on, history, really, sound, virtually

# -- people ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "rejected"])
@pytest.mark.parametrize("by", ["the same engine", "another engine", "another process"])
def test_an_approval_waits_for_a_person(store: EventStore, granted: bool, by: str) -> None:
    """Nothing starts before the decision is recorded, whoever records it; then the workflow hears of it."""
    if by == "another process" and store.url == "memory://":
        pytest.skip("no other process sees this store")

    async def main() -> Any:
        async with Engine(store) as engine, Engine(store) as other:
            handle = await engine.start(guarded, id="one")
            await asked(store)
            assert not [word for word in history(store) if "ship" in word]
            if by == "another process":
                say = "granted=True" if granted else "granted=False"
                program = (
                    "from actum.engine.runtime.approvals import answer_approval\n"
                    "from actum.engine.runtime.ports import World\n"
                    "from actum.eventstore import open_store\n"
                    f"store = open_store({store.url!r})\n"
                    f"answer_approval(store, World(), 'one', 'ok', {say}, by='p-1', comment='so be it')\n"
                    "store.close()"
                )
                await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True, timeout=30)
            else:
                decider = engine if by == "the same engine" else other
                decide = decider.approve if granted else decider.reject
                await decide("one", "ok", by="p-1", comment="so be it")
            return await handle.result()

    assert really(main()) == ["shipped" if granted else "rejected", "p-1", "so be it"]
    decision = f"approval.{'granted' if granted else 'rejected'} ok#0"
    words = history(store)
    assert words[:3] == ["execution.started", "approval.requested ok#0", decision]
    (row,) = store.view("approvals")
    assert row["status"] == decision.split()[0].partition(".")[2]


def test_a_decision_made_while_nobody_runs_it_is_heard_later(store: EventStore) -> None:
    """Waiting holds no process: the next engine to take the execution on finds the decision in the log."""

    async def main() -> Any:
        async with Engine(store) as first:
            await first.start(guarded, id="one")
            await asked(store)
        async with Engine(store) as nobody:
            await nobody.approve("one", "ok", by="p-1")
        async with Engine(store) as second:
            second.register(guarded)
            return await (await second.resume("one")).result()

    assert really(main()) == ["shipped", "p-1", ""]
    assert history(store)[2:4] == ["approval.granted ok#0", "execution.claimed"]


def test_a_decision_counts_once(store: EventStore) -> None:
    """The second person hears that it was decided, and nothing is written."""

    async def main() -> None:
        async with Engine(store) as engine:
            handle = await engine.start(guarded, id="one")
            await asked(store)
            await engine.approve("one", "ok", by="p-1")
            with pytest.raises(NotWaiting):
                await engine.reject("one", "ok#0", by="p-2")
            with pytest.raises(NotWaiting):
                await engine.approve("one", "other", by="p-2")
            with pytest.raises(UnknownExecution):
                await engine.approve("other", "ok", by="p-2")
            with pytest.raises(BadInput):
                await engine.approve("one", "ok", by="")
            await handle.result()

    really(main())
    assert [word for word in history(store) if word.startswith("approval")][1:] == ["approval.granted ok#0"]


@pytest.mark.parametrize("comment", ["\ud800", "x" * 300_000], ids=["no unicode", "too large"])
def test_a_comment_that_cannot_be_recorded_is_refused(store: EventStore, comment: str) -> None:
    """The person hears of it, and the question stays open."""

    async def main() -> None:
        async with Engine(store) as engine:
            await engine.start(guarded, id="one")
            await asked(store)
            with pytest.raises(BadInput, match="the comment"):
                await engine.approve("one", "ok", by="p-1", comment=comment)

    really(main())
    assert store.view("approvals")[0]["status"] == "waiting"


def test_silence_is_no_at_the_deadline() -> None:
    """By the world's clock, to the instant, and nobody's act."""
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(guarded, 60, id="one")).result()

    assert virtually(main()) == ["expired", "the deadline", ""]
    requested, expired = (e for e in store.read_stream("execution/one") if e.type.startswith("approval"))
    assert requested.facts["deadline"] == expired.at
    assert expired.facts["waited_us"] == 60_000_000
    sound(store)


# -- timers ----------------------------------------------------------------------------------------------------------


@workflow(name="naps")
async def naps(ctx: Any) -> Any:
    await ctx.gather(ctx.sleep(10, "short"), ctx.sleep("1m", "long"))
    return "awake"


def test_a_sleep_lasts_as_long_as_it_says() -> None:
    """Side by side, each to its own due time."""
    store = MemoryStore()

    async def main() -> float:
        async with engine_on(store) as engine:
            await (await engine.start(naps, id="one")).result()
            return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(60, abs=0.001)
    assert history(store)[3:5] == ["timer.fired short#0", "timer.fired long#0"]
    sound(store)


def test_a_restart_does_not_prolong_a_sleep() -> None:
    """What was due while nobody was there fires at once, late by what it is late; the rest when it is due."""
    store = MemoryStore()

    async def main() -> float:
        async with engine_on(store) as first:
            await first.start(naps, id="one")
            await asyncio.sleep(5)
        await asyncio.sleep(20)
        async with engine_on(store) as second:
            second.register(naps)
            await (await second.resume("one")).result()
            return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(60, abs=0.001)
    late = [e.facts["late_us"] for e in store.read(types=["timer.fired"])]
    assert late == [15_000_000, pytest.approx(0, abs=1000)]
    sound(store)
