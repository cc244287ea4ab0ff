"""Schedules whose next execution ends the one that runs: by asking, or at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import step, workflow
from actum.engine.schedules.reading import schedules_alive
from actum.engine.schedules.state import fold_schedules
from actum.eventstore import Batch
from actum.eventstore.memory import MemoryStore
from tests.engine.schedules.test_scheduler import UNIT_S, carried_out, heard, of, report, said
from tests.engine.world import Between, engine_on, history, sound, until, virtually

TEN, TWENTY, THIRTY = (f"often@2026-11-21T12:{minute}:00Z" for minute in (10, 20, 30))


@step
async def unbook(room: str) -> None: ...


@step(compensate=unbook)
async def book(room: str) -> str:
    return room


@workflow
async def long(ctx: Any, room: str) -> str:
    """Half an hour, and two minutes to clean up."""
    await book(room)
    try:
        await ctx.sleep("30m")
    except asyncio.CancelledError:
        await ctx.sleep("2m")
        raise
    return room


def ends(store: MemoryStore) -> dict[str, list[str]]:
    """How each execution ended, and when."""
    return {
        row["id"]: [row["status"], "" if row["ended_at"] is None else row["ended_at"][11:16]]
        for row in store.view("executions", order="started_at")
    }


def test_with_cancel_other_the_new_one_begins_when_the_old_one_has_cleaned_up() -> None:
    """It is asked in the append that keeps the new one; it undoes what it did; nobody is asked twice."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", long, "d", every="10m", overlap="cancel_other")
            await carried_out(engine, 2.5 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "due 12:10", "buffered 12:20", "made_room", "buffered 12:20"]
    assert ends(store) == {TEN: ["cancelled", "12:22"], TWENTY: ["waiting", ""]}
    assert history(store, TEN)[-3:] == [
        "compensation.started book#0",
        "compensation.completed book#0",
        "execution.cancelled",
    ]
    made = next(event for event in store.read() if event.type == "schedule.made_room")
    assert made.facts["executions"] == [TEN]
    assert made.facts["force"] is False
    asked = store.read_stream(f"execution/{TEN}")
    asked = [event for event in asked if event.type == "execution.cancel_requested"]
    assert [(event.facts["by"], event.actor.ref, event.position) for event in asked] == [
        ("system", "schedule/often", made.position + 1)
    ]
    sound(store)


def test_with_cancel_other_the_newest_waits_while_the_old_one_does_not_come_to_its_end() -> None:
    """What waited is missed, and the one that is being cancelled is not asked again."""
    store = MemoryStore()

    @workflow
    async def stubborn(ctx: Any, given: str) -> None:
        try:
            await ctx.sleep("15m")
        finally:
            await ctx.sleep("25m")

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", stubborn, "d", every="10m", overlap="cancel_other")
            await carried_out(engine, 4.7 * UNIT_S)

    virtually(main())

    assert said(store, "often") == [
        *("defined", "due 12:10", "buffered 12:20", "made_room"),
        *("missed 1 from 12:20: overlap", "buffered 12:30", "missed 1 from 12:30: overlap", "buffered 12:40"),
        "buffered 12:40",
    ]
    assert [word for word in history(store, TEN) if "cancel_requested" in word] == ["execution.cancel_requested"]
    sound(store)


def test_with_terminate_other_the_new_one_begins_at_once() -> None:
    """The old one ends as it is: nothing is cleaned up, and what it did and could be undone is named."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", long, "d", every="10m", overlap="terminate_other")
            await carried_out(engine, 3.5 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "due 12:10", "made_room", "due 12:20", "made_room", "due 12:30"]
    assert ends(store) == {TEN: ["cancelled", "12:20"], TWENTY: ["cancelled", "12:30"], THIRTY: ["waiting", ""]}
    end = store.read_stream(f"execution/{TEN}")[-1]
    assert end.facts["uncompensated"] == ["book#0"]
    assert end.facts["by"] == "system"
    sound(store)


@pytest.mark.parametrize("overlap", ["cancel_other", "terminate_other"])
def test_where_there_is_room_nobody_is_ended(overlap: Any) -> None:
    """Up to `max_running` run side by side; then the oldest makes room, and only that one."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", long, "d", every="10m", overlap=overlap, max_running=2)
            await carried_out(engine, 3.5 * UNIT_S)

    virtually(main())

    assert [ends(store)[id_][0] for id_ in (TEN, TWENTY, THIRTY)] == ["cancelled", "waiting", "waiting"]
    sound(store)


@pytest.mark.parametrize("overlap", ["cancel_other", "terminate_other"])
@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_a_crash_between_the_two_ends_one_and_begins_one(overlap: Any, landed: bool) -> None:
    """Whoever carries schedules out next finds who was asked, and begins what is to begin."""
    store = MemoryStore()
    once: list[bool] = []

    def before(number: int, batch: Batch) -> Exception | None:
        made = any(event.type == "schedule.made_room" for event in batch[0].events)
        if made and not once:
            once.append(True)
            return Between.LANDED if landed else Between.LOST
        return None

    async def main() -> None:
        async with engine_on(Between(store, before)) as engine:  # type: ignore[arg-type]
            await engine.schedule("often", long, "d", every="10m", overlap=overlap)
            await carried_out(engine, 1.5 * UNIT_S)
            await asyncio.sleep(0.45 * UNIT_S)
            running = asyncio.ensure_future(engine.run_schedules())
            await until(lambda: once)
            running.cancel()
        async with engine_on(store) as engine:
            engine.register(long)
            await engine.recover()
            await carried_out(engine, 300)

    virtually(main())

    assert {id_: end[0] for id_, end in ends(store).items()} == {TEN: "cancelled", TWENTY: "waiting"}
    assert said(store, "often").count("made_room") == 1
    sound(store)


def test_an_event_ends_what_runs_for_an_earlier_one() -> None:
    """Of events too, one execution runs: the one of the newest."""
    store = MemoryStore()

    @workflow
    async def follows(ctx: Any, given: Any) -> None:
        await ctx.sleep("1h")

    async def main() -> None:
        async with engine_on(store) as engine:
            facts = {"outcome": "success"}
            await engine.schedule("after", follows, on="execution.completed", on_facts=facts, overlap="terminate_other")
            for name in ("a", "b", "c"):
                await (await engine.start(report, name, id=name)).result()
            await carried_out(engine, 5)

    virtually(main())

    assert [word.split()[0] for word in said(store, "after")] == [
        *("defined", "event", "made_room", "event", "made_room", "event")
    ]
    found = {int(id_.partition("@")[2]): end[0] for id_, end in ends(store).items() if "@" in id_}
    assert [found[position] for position in sorted(found)] == ["cancelled", "cancelled", "waiting"]
    sound(store)


class Counted:
    """A store that counts the events of schedules that are read from it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        for event in self._store.read(*args, **kwargs):
            self.count += event.stream.startswith("schedule/")
            yield event

    def read_stream(self, stream: str, *args: Any) -> Any:
        events = self._store.read_stream(stream, *args)
        self.count += len(events) * stream.startswith("schedule/")
        return events


def test_who_starts_reads_the_ends_of_the_schedules_that_are_alive() -> None:
    """However much they began: a few events each, none of those that were removed, and what runs is found."""
    store = MemoryStore()
    counted = Counted(store)

    async def main() -> None:
        async with engine_on(store) as engine:
            for name in ("often", "gone"):
                await engine.schedule(name, report, "d", every="1m")
            await engine.schedule("long", long, "d", every="2m")
            await engine.schedule("kept", long, "d", every="2m", overlap="buffer_one")
            await engine.schedule("after", heard, on="execution.completed", on_facts={"outcome": "success"})
            await (await engine.start(report, "d", id="long@mine")).result()  # nothing of the schedule's
            await carried_out(engine, 24.95 * UNIT_S)
            of(store).remove("gone")
            of(store).pause("often")
        all_of_them = sum(event.stream.startswith("schedule/") for event in store.read())
        assert all_of_them > 500

    virtually(main())
    alive = schedules_alive(counted)  # type: ignore[arg-type]

    assert counted.count < 130
    whole = fold_schedules(store.read())
    for name in ("often", "long", "after", "kept"):
        mine, full = alive[name], whole[name]
        for field in ("version", "status", "schedule", "done_us", "buffered_us", "done_position"):
            assert getattr(mine, field) == getattr(full, field), (name, field)
        running = [row["id"] for row in store.view("executions") if row["status"] == "waiting"]
        assert mine.open == [id_ for id_ in full.open if id_ in running], name
    assert alive["often"].status == "paused"
    assert alive["kept"].buffered_us is not None
    assert alive["long"].open
    sound(store)
