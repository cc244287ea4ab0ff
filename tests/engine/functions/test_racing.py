"""Races, signals, sleeping until, time and chance: what a workflow may do beside calling steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from actum.engine import Approval, Workflow, step, workflow
from actum.engine.runtime.signals import send_signal
from actum.errors import BadInput, ExecutionEnded, ExecutionFailed, NotWaiting, SignalTimeout, UnknownExecution
from actum.events import Actor
from actum.eventstore.memory import MemoryStore
from tests.engine.world import VirtualWorld, engine_on, history, sound, until, virtually

PERSON = Actor("person", "p-1")
RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@step
async def quick(x: Any = None) -> Any:
    await asyncio.sleep(0.01)
    RAN.append("quick")
    return x


@step
async def slow(x: Any = None) -> Any:
    await asyncio.sleep(10)
    RAN.append("slow")
    return x


@step
async def breaks() -> None:
    raise ValueError("boom")


@step
async def unbook(x: Any) -> None:
    RAN.append(f"unbook {x}")


@step(compensate=unbook)
async def book(x: Any) -> Any:
    return x


def run(
    flow: Workflow, meanwhile: Callable[[Any, MemoryStore], Any] | None = None, given: Any = None
) -> tuple[MemoryStore, Any]:
    """The log of a workflow run to its end, and its output or its error; `meanwhile` is done beside it."""
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, given, id="one")
            beside = None if meanwhile is None else asyncio.ensure_future(meanwhile(engine, store))
            try:
                return await handle.result()
            except ExecutionFailed as exc:
                return exc
            finally:
                if beside is not None:
                    await beside

    found = virtually(main())
    sound(store)
    return store, found


def on_restarts(flow: Workflow, given: Any = None, *, pause_s: float = 0.012) -> Any:
    """The output when the engine dies again and again: another one takes over every few milliseconds."""
    store = MemoryStore()

    async def main() -> Any:
        number = 0
        while True:
            async with engine_on(store, worker=f"w-{number}") as engine:
                handle = await engine.start(flow, given, id="one")
                result = asyncio.ensure_future(handle.result())
                await asyncio.wait([result], timeout=pause_s)
                if result.done():
                    return result.result()
                result.cancel()
            number += 1

    found = virtually(main())
    sound(store)
    return found


# -- races -------------------------------------------------------------------------------------------------------------


def test_the_first_to_end_wins_and_says_who_it_is() -> None:
    """The result is the index or the name of the first, and its value; the race stands in the log."""

    @workflow
    async def flow(ctx: Any) -> Any:
        first = await ctx.race(slow(1), quick(2))
        second = await ctx.race(late=ctx.sleep("1h"), paid=quick(3))
        return [first.which, first.value, second.which, second.value]

    store, output = run(flow)

    assert output == [1, 2, "paid", 3]
    races = [e.facts for e in store.read_stream("execution/one") if e.type == "race.decided"]
    assert races == [
        {"race": "race", "occurrence": 0, "winner": "1"},
        {"race": "race", "occurrence": 1, "winner": "paid", "losers": ["sleep#0"]},
    ]


def test_an_attempt_that_lost_is_cancelled() -> None:
    """What nobody waits for any more is stopped, and the log says so; the execution ends without it."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return (await ctx.race(slow(1), quick(2))).value

    store, _ = run(flow)

    assert RAN == ["quick"]
    assert history(store)[-4:] == [
        "step.completed quick#0",
        "step.cancelled slow#0",
        "race.decided race#0",
        "execution.completed",
    ]


def test_questions_and_timers_that_lost_are_withdrawn() -> None:
    """A question that nobody needs any more is not answered, and a timer that lost does not fire."""

    @workflow
    async def flow(ctx: Any) -> Any:
        won = await ctx.race(asked=ctx.approve(Approval("Really?", name="ok")), nap=ctx.sleep(60), done=quick())
        await ctx.sleep(120)
        return won.which

    async def answer(engine: Any, store: MemoryStore) -> None:
        await asyncio.sleep(1)
        with pytest.raises(NotWaiting, match="withdrawn"):
            await engine.approve("one", "ok#0", by="p-1")

    store, output = run(flow, answer)

    assert output == "done"
    assert store.view("approvals")[0]["status"] == "withdrawn"
    assert [w for w in history(store) if w.startswith(("timer.fired", "approval"))] == [
        "approval.requested ok#0",
        "approval.withdrawn ok#0",
        "timer.fired sleep#1",
    ]


def test_a_failure_that_comes_first_is_raised() -> None:
    """Who comes first decides, also when it fails."""

    @workflow
    async def flow(ctx: Any) -> Any:
        await ctx.race(breaks(), slow())

    store, error = run(flow)

    assert error.error_type == "ValueError"
    assert "race.decided race#0" in history(store)


def test_branches_that_lost_are_closed_with_all_they_hold() -> None:
    """A coroutine that lost asks for nothing more, nor do the branches that it opened itself."""

    async def deep(ctx: Any) -> None:
        try:
            await ctx.gather(slow(1), ctx.race(slow(2), ctx.sleep(50)), nested(ctx))
        finally:
            await quick("too late")

    async def nested(ctx: Any) -> None:
        await quick()
        await slow(3)

    @workflow
    async def flow(ctx: Any) -> Any:
        won = await ctx.race(deep(ctx), ctx.sleep(1))
        await ctx.sleep(100)
        return won.which

    store, output = run(flow)

    assert output == 1
    assert RAN == ["quick"]
    assert sorted(w for w in history(store) if "cancelled" in w) == [
        "step.cancelled r0.0/g0.2/slow#0",
        "step.cancelled r0.0/slow#0",
        "step.cancelled r0.0/slow#1",
    ]


def test_what_a_loser_has_completed_is_undone_with_the_rest() -> None:
    """Losing does not undo anything: a step that completed stays on the list of what a failure undoes."""

    async def booking(ctx: Any) -> None:
        await book("a room")
        await slow()

    @workflow
    async def flow(ctx: Any) -> Any:
        await ctx.race(booking(ctx), ctx.sleep(1))
        await breaks()

    _, error = run(flow)

    assert error.error_type == "ValueError"
    assert RAN == ["unbook a room"]


def test_a_race_against_what_is_there_already_starts_nothing() -> None:
    """Whoever loses in the breath in which it was asked for is not begun."""

    async def at_once() -> str:
        return "here"

    @workflow
    async def flow(ctx: Any) -> Any:
        won = await ctx.race(slow(1), at_once(), slow(2))
        return [won.which, won.value, await quick(1)]

    store, output = run(flow)

    assert output == [1, "here", 1]
    assert not any("slow" in word for word in history(store))


def test_a_race_of_nobody_is_refused() -> None:
    """There must be somebody to wait for."""

    @workflow
    async def flow(ctx: Any) -> Any:
        await ctx.race()

    _, error = run(flow)

    assert error.error_type == "BadInput"


@pytest.mark.parametrize("pause_s", [0.012, 0.017, 0.7])
def test_races_replay_as_they_were_decided(pause_s: float) -> None:
    """A worker that takes over finds the same winner, whenever it comes."""

    async def leg(ctx: Any, number: int) -> Any:
        await ctx.sleep(number / 100)
        return await quick(number)

    @workflow
    async def flow(ctx: Any) -> Any:
        found = []
        for _ in range(3):
            found.append(await ctx.race(leg(ctx, 3), leg(ctx, 1), ctx.gather(leg(ctx, 2), leg(ctx, 9))))
        return found

    assert on_restarts(flow, pause_s=pause_s) == [{"which": 1, "value": 1}] * 3


def test_a_race_of_thousands_fits_the_log() -> None:
    """The keys of losers may be more than one event has room for."""

    @workflow
    async def flow(ctx: Any) -> Any:
        won = await ctx.race(
            quick(1), *(ctx.sleep(50, "a name that takes some room, as names do") for _ in range(3000))
        )
        await ctx.sleep(60)
        return won.value

    store, output = run(flow)

    assert output == 1
    assert len([w for w in history(store) if w.startswith("race.decided")]) > 1
    assert len([w for w in history(store) if w.startswith("timer.fired")]) == 1


# -- signals -----------------------------------------------------------------------------------------------------------


def test_signals_are_read_in_their_order_whether_or_not_anything_waited() -> None:
    """One that comes early is kept; each wait gets the next."""

    @workflow
    async def flow(ctx: Any) -> Any:
        first = await ctx.wait_signal("paid")
        await ctx.sleep(5)
        return [first, await ctx.wait_signal("paid"), await ctx.wait_signal("paid")]

    async def send(engine: Any, store: MemoryStore) -> None:
        for number in range(4):
            await asyncio.sleep(1)
            await engine.signal("one", "paid", number)

    store, output = run(flow, send)

    assert output == [0, 1, 2]
    assert len([w for w in history(store) if w.startswith("signal.received")]) == 4


def test_an_execution_that_waits_for_a_signal_says_so() -> None:
    """The list shows that it waits, and for what."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.wait_signal("paid")

    async def send(engine: Any, store: MemoryStore) -> None:
        await until(lambda: store.view("executions", {"status": "waiting"}))
        assert store.view("executions")[0]["waiting_for"] == "paid#0"
        send_signal(store, VirtualWorld(), "one", "paid", 7, by=PERSON)  # as another process would

    store, output = run(flow, send)

    assert output == 7
    assert store.read_stream("execution/one")[-2].actor == PERSON


def test_the_same_signal_id_is_one_signal() -> None:
    """Who is not sure whether it was sent sends it again."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return [await ctx.wait_signal("paid"), await ctx.wait_signal("paid")]

    async def send(engine: Any, store: MemoryStore) -> None:
        for value, signal_id in ((1, "a"), (2, "a"), (3, "b")):
            await engine.signal("one", "paid", value, signal_id=signal_id)
            await asyncio.sleep(1)

    _, output = run(flow, send)

    assert output == [1, 3]


def test_nobody_signals_what_is_not_there_or_has_ended() -> None:
    """Refused, with a near miss; nothing is written."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    store, _ = run(flow)
    head = store.head()

    with pytest.raises(UnknownExecution, match="did you mean 'one'"):
        send_signal(store, VirtualWorld(), "onee", "paid", by=PERSON)
    with pytest.raises(BadInput, match="name of a signal"):
        send_signal(store, VirtualWorld(), "one", "pa/id", by=PERSON)

    async def late() -> None:
        with pytest.raises(ExecutionEnded, match="completed"):
            send_signal(store, VirtualWorld(), "one", "paid", by=PERSON)

    virtually(late())
    assert store.head() == head


def test_a_signal_that_does_not_come_in_time() -> None:
    """The workflow gets the default, or `SignalTimeout` where there is none; one that comes later is for the next."""

    @workflow
    async def flow(ctx: Any) -> Any:
        found = [await ctx.wait_signal("paid", timeout=1, default="none")]
        try:
            await ctx.wait_signal("paid", timeout=1)
        except SignalTimeout as exc:
            found.append(str(exc))
        return [*found, await ctx.wait_signal("paid", timeout=60)]

    async def send(engine: Any, store: MemoryStore) -> None:
        await asyncio.sleep(5)
        await engine.signal("one", "paid", 7)

    store, output = run(flow, send)

    assert output == ["none", "no signal 'paid' came in time", 7]
    assert len([w for w in history(store) if w.startswith("timer.fired")]) == 2


def test_two_who_wait_get_a_signal_each() -> None:
    """The first that waits gets the first; one that was given up gets none."""

    @workflow
    async def flow(ctx: Any) -> Any:
        await ctx.race(ctx.wait_signal("go"), ctx.sleep(1))
        return await ctx.gather(ctx.wait_signal("go"), ctx.wait_signal("go"), ctx.wait_signal("go", timeout=90))

    async def send(engine: Any, store: MemoryStore) -> None:
        await asyncio.sleep(2)
        for number in range(3):
            await engine.signal("one", "go", number)

    _, output = run(flow, send)

    assert output == [0, 1, 2]


@dataclass
class Paid:
    amount: int


def test_a_signal_is_made_into_the_type_it_is_waited_for_as() -> None:
    """What does not fit is raised where it is waited for, naming the signal and the field."""

    @workflow
    async def flow(ctx: Any) -> Any:
        paid = await ctx.wait_signal("paid", Paid)
        assert isinstance(paid, Paid)
        await ctx.wait_signal("paid", Paid)

    async def send(engine: Any, store: MemoryStore) -> None:
        await engine.signal("one", "paid", {"amount": 3})
        await engine.signal("one", "paid", {"amount": "much"})

    _, error = run(flow, send)

    assert error.error_type == "Mismatch"
    assert error.message.startswith("signal 'paid': amount: ")


# -- time and chance ---------------------------------------------------------------------------------------------------


def test_sleeping_until_an_instant() -> None:
    """It ends then; one that has passed ends at once; a time of no zone is refused."""

    @workflow
    async def flow(ctx: Any) -> Any:
        await ctx.sleep_until(datetime(2026, 11, 21, 15, tzinfo=UTC))
        at = ctx.now()
        await ctx.sleep_until(datetime(2020, 1, 1, tzinfo=UTC))
        assert ctx.now() == at
        try:
            ctx.sleep_until(datetime(2027, 1, 1))  # noqa: DTZ001 - the point of the test
        except BadInput as exc:
            assert "no time zone" in str(exc)
        return at

    store, output = run(flow)

    assert output == "2026-11-21T15:00:00+00:00"
    due = [e.facts["due"] for e in store.read_stream("execution/one") if e.type == "timer.set"]
    assert due == ["2026-11-21T15:00:00.000000Z", "2020-01-01T00:00:00.000000Z"]


@workflow
async def chancy(ctx: Any) -> Any:
    async def some() -> Any:
        await ctx.sleep(0.01)
        return [ctx.random(), str(ctx.uuid()), ctx.rng.randint(0, 1000)]

    found = [[ctx.now(), ctx.random(), ctx.random(), ctx.uuid(), ctx.rng.random()]]
    for _ in range(4):
        await quick()
        found.append([ctx.now(), ctx.random(), ctx.uuid(), ctx.rng.random()])
    return [*found, await ctx.gather(some(), some())]


def test_time_and_chance_are_the_same_on_replay() -> None:
    """Whatever the crashes, the workflow draws the same numbers and ids, and the time goes with the log."""
    _, calm = run(chancy)
    crashed = on_restarts(chancy, pause_s=0.012)

    def drawn(found: Any) -> Any:
        return [one[1:] for one in found[:-1]] + found[-1]

    assert drawn(crashed) == drawn(calm)
    assert [one[0] for one in calm[:-1]] == sorted(one[0] for one in calm[:-1])
    assert calm[1][0] == "2026-11-21T12:00:00.010000+00:00"


def test_chance_differs_between_executions_branches_and_draws() -> None:
    """No two draws are the same."""
    _, output = run(chancy)
    flat = [str(draw) for one in (*output[:-1], *output[-1]) for draw in one[-3:]]
    store = MemoryStore()

    async def another() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(chancy, id="two")).result()

    other = virtually(another())

    assert len(set(flat)) == len(flat)
    assert other[0][1] != output[0][1]
    assert orjson.dumps(output)


# -- what may not be awaited -------------------------------------------------------------------------------------------


async def _timeout(ctx: Any) -> None:
    async with asyncio.timeout(5):  # HERE
        await quick()


async def _wait_for(ctx: Any) -> None:
    await asyncio.wait_for(ctx.step("q", quick.fn), 5)  # HERE


async def _task_group(ctx: Any) -> None:
    async with asyncio.TaskGroup():  # HERE
        await quick()


async def _sleep(ctx: Any) -> None:
    await asyncio.sleep(5)  # HERE


async def _lock(ctx: Any) -> None:
    await asyncio.Event().wait()  # HERE


@pytest.mark.parametrize("body", [_timeout, _wait_for, _task_group, _sleep, _lock])
@pytest.mark.parametrize("after", [False, True], ids=["at the start", "later"])
def test_what_belongs_to_asyncio_ends_the_workflow_naming_the_line(body: Any, after: bool) -> None:
    """Its time-outs, groups and sleeps would be forgotten by a restart, and could stop the engine's own tasks."""

    @workflow
    async def flow(ctx: Any) -> None:
        if after:
            await quick()
        await body(ctx)

    _, error = run(flow)

    assert error.error_type == "ForeignAwait"
    path, line = error.message.split(": ")[1].split(" awaits")[0].rsplit(":", 1)
    assert Path(path).read_text().splitlines()[int(line) - 1].endswith("# HERE")
