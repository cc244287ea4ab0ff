"""Schedules on a store, in virtual time: what begins, once, whoever carries it out and whatever stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Engine, step, workflow
from actum.engine.schedules.control import Schedules
from actum.engine.schedules.scheduler import Scheduler
from actum.errors import BadInput, NoCode, UnknownSchedule
from actum.events import Actor
from actum.eventstore import Batch, EventStore, open_store
from actum.testing.clock import NOON_US
from tests.engine.world import Between, VirtualWorld, engine_on, sound, until, virtually

UNIT_S = 600


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """A fresh store; whatever a test does, the log is sound when the dust has settled."""
    store = open_store({"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/log.db"}[request.param])
    yield store
    sound(store)
    store.close()


@dataclass
class Day:
    name: str


@dataclass
class Week:
    number: int


@step
async def note(day: str) -> str:
    return day


@workflow
async def report(ctx: Any, day: str) -> str:
    return await note(day)


@workflow
async def of_a_day(ctx: Any, day: Day) -> str:
    return day.name


@workflow
async def slow(ctx: Any, day: str) -> str:
    await ctx.sleep("25m")
    return day


@workflow
async def heard(ctx: Any, given: dict[str, Any]) -> str:
    return str(given["event"]["stream"])


class EndOfSummer(VirtualWorld):
    """From ten minutes before half past two, Central European summer time, on."""

    def now_us(self) -> int:
        begin = datetime(2027, 10, 31, 0, 20, tzinfo=UTC)
        return super().now_us() - NOON_US + int(begin.timestamp()) * 1_000_000


def of(store: EventStore) -> Schedules:
    return Schedules(store, VirtualWorld(), Actor("person", "p-1"))


def said(store: EventStore, name: str) -> list[str]:
    """A schedule's stream in a few words."""
    words = []
    for event in store.read_stream(f"schedule/{name}"):
        facts = event.facts
        noun = event.type.removeprefix("schedule.")
        match noun:
            case "fired":
                words.append(f"{facts['kind']} {facts['due'][11:16]}")
            case "missed":
                words.append(f"missed {facts['count']} from {facts['first'][11:16]}: {facts['reason']}")
            case "buffered":
                words.append(f"buffered {facts['due'][11:16]}")
            case _:
                words.append(noun)
    return words


def statuses(store: EventStore) -> dict[str, str]:
    return {row["id"]: row["status"] for row in store.view("executions", order="started_at")}


async def carried_out(engine: Engine, seconds: float) -> None:
    """Carry schedules out for so long."""
    running = asyncio.ensure_future(engine.run_schedules())
    await asyncio.sleep(seconds)
    running.cancel()
    await asyncio.wait([running])


def test_executions_begin_when_they_are_due_and_run(store: EventStore) -> None:
    """Each time has its execution, named by the schedule and the time, with the schedule's input."""

    async def main() -> None:
        async with engine_on(store) as engine:
            assert await engine.schedule("often", report, "d", every="10m")
            await carried_out(engine, 2.5 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "due 12:10", "due 12:20"]
    assert statuses(store) == {"often@2026-11-21T12:10:00Z": "completed", "often@2026-11-21T12:20:00Z": "completed"}
    first = store.read_stream("execution/often@2026-11-21T12:10:00Z")
    assert first[0].value() == {"input": "d"}
    fired = store.read_stream("schedule/often")[1]
    assert first[0].head["causation"] == fired.id
    assert first[0].position == fired.position + 1
    assert fired.facts["late_us"] < 1_000_000


def test_two_workers_begin_each_execution_once(store: EventStore) -> None:
    """Whoever is second finds that the schedule has moved on."""

    async def main() -> None:
        async with engine_on(store) as one, engine_on(store) as two:
            await one.schedule("often", report, "d", every="10m")
            two.register(report)
            await asyncio.gather(carried_out(one, 5.5 * UNIT_S), carried_out(two, 5.5 * UNIT_S))

    virtually(main())

    assert said(store, "often") == ["defined", *(f"due 12:{minute}" for minute in range(10, 60, 10))]
    assert list(statuses(store).values()) == ["completed"] * 5


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_a_write_without_an_answer_begins_it_once(store: EventStore, landed: bool) -> None:
    """Whether or not the first append landed, there is one execution for the time."""
    once: list[bool] = []

    def before(number: int, batch: Batch) -> Exception | None:
        if batch[0].stream == "schedule/often" and len(batch) == 2 and not once:
            once.append(True)
            return Between.LANDED if landed else Between.LOST
        return None

    async def main() -> None:
        async with engine_on(Between(store, before)) as engine:  # type: ignore[arg-type]
            await engine.schedule("often", report, "d", every="10m")
            await carried_out(engine, 1.5 * UNIT_S)
            await engine.recover()
            await until(lambda: list(statuses(store).values()) == ["completed"])

    virtually(main())

    assert once
    assert said(store, "often") == ["defined", "due 12:10"]


def test_what_nobody_carried_out_is_caught_up_with_and_recorded(store: EventStore) -> None:
    """After five times without anybody, one execution begins for all of them."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", report, "d", every="10m")
        await asyncio.sleep(5.5 * UNIT_S)
        async with engine_on(store) as engine:
            engine.register(report)
            await carried_out(engine, 10)

    virtually(main())

    assert said(store, "often") == ["defined", "missed 4 from 12:10: nobody_ran", "due 12:50"]


@pytest.mark.parametrize(
    ("overlap", "words"),
    [
        ("skip", ["due 12:10", "missed 1 from 12:20: overlap", "missed 1 from 12:30: overlap", "due 12:40"]),
        (
            "buffer_one",
            ["due 12:10", "buffered 12:20", "missed 1 from 12:30: overlap", "buffered 12:20", "buffered 12:40"],
        ),
        ("allow", ["due 12:10", "due 12:20", "due 12:30", "due 12:40"]),
    ],
)
def test_an_execution_that_still_runs_when_the_next_is_due(store: EventStore, overlap: Any, words: list[str]) -> None:
    """Executions of  and a half, so often: left out, kept, or side by side."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", slow, "d", every="10m", overlap=overlap)
            await carried_out(engine, 4.1 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", *words]


def test_a_paused_schedule_begins_nothing_and_resumed_it_goes_on_from_then(store: EventStore) -> None:
    """What falls due in a pause is left out; that is what a pause is for."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", report, "d", every="10m")
            assert of(store).pause("often", "the bank is closed")
            assert not of(store).pause("often")
            await carried_out(engine, 2.5 * UNIT_S)
            assert of(store).resume("often")
            await carried_out(engine, UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "paused", "resumed", "due 12:30"]


def test_a_removed_schedule_is_unknown_and_its_name_can_be_used_again(store: EventStore) -> None:
    """Removing it ends it; its past stays."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", report, "d", every="10m")
            of(store).remove("often")
            await carried_out(engine, 1.5 * UNIT_S)
            assert of(store).all() == []
            with pytest.raises(UnknownSchedule):
                of(store).pause("often")
            assert await engine.schedule("often", report, "d", every="10m")
            await carried_out(engine, 1 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "removed", "defined", "due 12:20"]


def test_the_same_definition_again_writes_nothing(store: EventStore) -> None:
    """A program may define its schedules each time it starts."""

    async def main() -> None:
        async with engine_on(store) as engine:
            assert await engine.schedule("nightly", report, "d", cron="30 2 * * *", zone="Europe/Berlin")
            assert not await engine.schedule("nightly", report, "d", cron="30 2 * * *", zone="Europe/Berlin")
            assert await engine.schedule("nightly", report, "e", cron="30 2 * * *", zone="Europe/Berlin")

    virtually(main())

    assert said(store, "nightly") == ["defined", "defined"]
    assert [event.value() for event in store.read_stream("schedule/nightly")] == [{"input": "d"}, {"input": "e"}]


def test_what_cannot_begin_is_refused_when_it_is_defined(store: EventStore) -> None:
    """A workflow that nobody knows, or an input that does not fit, is found before anything is written."""

    async def main() -> None:
        async with engine_on(store) as engine:
            with pytest.raises(BadInput, match="was published here"):
                await engine.schedule("often", "nowhere", every="10m")
            with pytest.raises(BadInput):
                await engine.schedule("often", of_a_day, {"no": "day"}, every="10m")
            with pytest.raises(BadInput, match="name is 1 to 120"):
                await engine.schedule("so often", report, "d", every="10m")

    virtually(main())

    assert store.head() == 0


def test_a_workflow_that_takes_the_input_no_more_is_recorded_as_missed(store: EventStore) -> None:
    """The schedule goes on: the refusal is in the log, with its reason."""

    def typed(as_: type) -> Any:
        async def typed(ctx: Any, day: Any) -> str:
            return "done"

        typed.__annotations__["day"] = as_
        return workflow(typed)

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", typed(Day), {"name": "d"}, every="10m")
            engine.register(typed(Week))
            await carried_out(engine, 1.5 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "missed 1 from 12:10: refused"]
    assert "number" in store.read_stream("schedule/often")[1].value()["message"]


def test_a_worker_without_the_code_leaves_it_to_one_that_has_it(store: EventStore) -> None:
    """Nothing is recorded by somebody who could not have done it."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", report, "d", every="10m")
            without = engine_on(store)
            without.code_named = _none  # type: ignore[method-assign, assignment]
            await carried_out(without, 1.02 * UNIT_S)
            await without.close()
            assert said(store, "often") == ["defined"]
            await carried_out(engine, 5)

    virtually(main())

    assert said(store, "often") == ["defined", "due 12:10"]


def _none(workflow: str) -> Any:
    raise NoCode(workflow, "it is not here")


def test_an_id_that_is_taken_is_missed_and_said(store: EventStore) -> None:
    """Somebody else's execution of that id is not touched."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", report, "d", every="10m")
            await (await engine.start(report, "mine", id="often@2026-11-21T12:10:00Z")).result()
            await carried_out(engine, 2.5 * UNIT_S)

    virtually(main())

    assert said(store, "often") == ["defined", "missed 1 from 12:10: id_taken", "due 12:20"]


def test_a_trigger_begins_one_now_and_a_backfill_begins_what_is_not_there(store: EventStore) -> None:
    """Times that have passed get their executions, with the ids that they would have had; none gets two."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("often", report, "d", every="10m")
            await carried_out(engine, 1.5 * UNIT_S)
            scheduler = Scheduler(engine)
            assert await scheduler.trigger("often") == "often@2026-11-21T12:15:00Z"
            begun, there = await scheduler.backfill("often", NOON_US - 1_200_000_000, NOON_US + 600_000_000)
            assert [id_[17:22] for id_ in begun] == ["11:40", "11:50", "12:00"]
            assert [id_[17:22] for id_ in there] == ["12:10"]
            with pytest.raises(BadInput, match="times that have passed"):
                await scheduler.backfill("often", NOON_US, NOON_US + 86_400_000_000)
            with pytest.raises(UnknownSchedule, match="did you mean 'often'"):
                await scheduler.trigger("oftenn")
            await engine.recover()
            await until(lambda: set(statuses(store).values()) == {"completed"})

    virtually(main())

    assert said(store, "often")[2:] == ["manual 12:15", "backfill 11:40", "backfill 11:50", "backfill 12:00"]


def test_clocks_that_are_set_back_have_one_execution(store: EventStore) -> None:
    """At the end of summer time half past two comes twice, and the execution once."""

    async def main() -> None:
        async with Engine(store, world=EndOfSummer()) as engine:
            await engine.schedule("nightly", report, "d", cron="30 2 * * *", zone="Europe/Berlin")
            await carried_out(engine, 5400)

    virtually(main())

    assert list(statuses(store)) == ["nightly@2027-10-31T00:30:00Z"]


def test_an_event_begins_an_execution_once(store: EventStore) -> None:
    """Each event of the type with those facts is an occasion, also for one that comes back later; its own are none."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.schedule("after", heard, on="execution.completed", on_facts={"outcome": "success"})
            await (await engine.start(report, "a", id="a")).result()
            await carried_out(engine, 5)
            await (await engine.start(report, "b", id="b")).result()
        async with engine_on(store) as engine:
            engine.register(heard, report)
            await carried_out(engine, 5)
            await carried_out(engine, 5)

    virtually(main())

    assert [word.split()[0] for word in said(store, "after")] == ["defined", "event", "event"]
    ends = [event.position for event in store.read(types=["execution.completed"]) if "@" not in event.stream]
    assert sorted(statuses(store)) == sorted(["a", "b", *(f"after@{position}" for position in ends)])
