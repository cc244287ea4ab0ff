"""The checker of promises finds what breaks them: each promise, broken in a record that was sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from actum.engine import Approval, step, workflow
from actum.events import RecordedEvent
from actum.testing.harness.history import brief, key_of
from actum.testing.simulation.promises import PROMISES, Guard, PromiseBroken, Record, check_promises
from actum.testing.simulation.simulation import Simulation
from actum.testing.simulation.weather import Life, Weather


async def give_back(n: int) -> None: ...


@step(compensate=give_back)
async def take(n: int) -> int:
    return n


@step
async def ship() -> None:
    raise OSError("no way")


@workflow
async def order(ctx: Any) -> None:
    await take(1)
    await take(2)
    await ctx.approve(Approval("Ship?", name="ok"))
    await ship()


@pytest.fixture
def record() -> Record:
    """Two things taken, a yes, a failure, and both given back; by a worker that took over from another."""
    simulation = Simulation(order, guards=[Guard("ship", "ok")])
    simulation.run(Weather(lives=(Life(0),)))
    check_promises(simulation.record)
    return simulation.record


def changed(event: RecordedEvent, **head: Any) -> RecordedEvent:
    said = {**event.head, **head}
    return RecordedEvent(event.position, orjson.dumps(said), event.payload, event.salt)


def place(log: list[RecordedEvent], words: str) -> int:
    """Where the first event of this type, or in these words, is."""
    return next(n for n, event in enumerate(log) if words in (event.type, brief(event)))


def without(words: str) -> Callable[[Record], Record]:
    return lambda record: with_log(record, lambda log: log.pop(place(log, words)))


def swapped(one: str, other: str) -> Callable[[Record], Record]:
    def swap(log: list[RecordedEvent]) -> None:
        first, second = place(log, one), place(log, other)
        log[first], log[second] = log[second], log[first]

    return lambda record: with_log(record, swap)


def by(worker: str, words: str) -> Callable[[Record], Record]:
    def change(log: list[RecordedEvent]) -> None:
        at = place(log, words)
        log[at] = changed(log[at], actor={"kind": "worker", "ref": worker})

    return lambda record: with_log(record, change)


def with_log(record: Record, change: Callable[[list[RecordedEvent]], Any]) -> Record:
    log = list(record.log)
    change(log)
    return replace(record, log=log)


def pivotal(record: Record) -> Record:
    def change(log: list[RecordedEvent]) -> None:
        at = place(log, "step.started take#1")
        log[at] = changed(log[at], facts={**log[at].facts, "pivot": True})

    return with_log(record, change)


def not_undone(record: Record) -> Record:
    def change(log: list[RecordedEvent]) -> None:
        log[:] = [event for event in log if not (event.type.startswith("compensation.") and key_of(event) == "take#0")]

    return with_log(record, change)


def again(record: Record) -> Record:
    return replace(record, effects=[*record.effects, record.effects[0]])


def early(record: Record) -> Record:
    return replace(record, effects=[replace(record.effects[0], known=0), *record.effects[1:]])


def late(record: Record) -> Record:
    return replace(record, effects=[replace(record.effects[0], known=len(record.log)), *record.effects[1:]])


def undone_view(record: Record) -> Record:
    store: Any = record.store
    store._views["executions"]["one",]["status"] = "running"
    return record


def one_byte(record: Record) -> Record:
    store: Any = record.store
    store._log[3] = changed(store._log[3], at="2026-11-21T12:00:09.000000Z")
    return record


BROKEN: dict[str, tuple[str, Callable[[Record], Record], str]] = {
    "an answered append that is gone": (
        "P1",
        lambda record: replace(record, acknowledged=[*record.acknowledged, (len(record.log), ["x"])]),
        "acknowledged at position",
    ),
    "an answered append elsewhere": ("P1", without("execution.started"), "there now"),
    "a changed byte": ("P2", one_byte, "position=3"),
    "a view that lags": ("P3", undone_view, "view executions"),
    "what was wrong on the way": ("P3", lambda record: replace(record, wrong=[("P3", 2, "memory")]), "memory"),
    "a hole": ("P4", without("step.completed"), "follows"),
    "a reader that skipped": ("P4", lambda record: replace(record, seen=record.seen[1:]), "a reader saw"),
    "an effect before its start": ("P5", early, "before its start was recorded"),
    "an effect after its end": ("P5", late, "when its end was recorded already"),
    "an effect twice": ("P5", again, "made twice"),
    "a completion without an effect": (
        "P5",
        lambda record: replace(record, effects=record.effects[1:]),
        "was not done",
    ),
    "a start that is not in doubt": ("P5", without("step.in_doubt"), "neither ended nor is it in doubt"),
    "an event of a stranger": ("P6", by("w-9", "step.completed"), "w-9 wrote it"),
    "an event of who had lost it": ("P6", by("w-1", "execution.failed"), "w-1 wrote it, and w-2 owned it"),
    "undone in the order of doing": (
        "P7",
        swapped("compensation.started take#1", "compensation.started take#0"),
        "undone first",
    ),
    "undone side by side": (
        "P7",
        swapped("compensation.completed take#1", "compensation.started take#0"),
        "take#1 is not of its group",
    ),
    "undone behind a pivot": ("P7", pivotal, "before the pivot take#1"),
    "not undone": ("P7", not_undone, "left"),
    "a yes that nobody said": ("P8", lambda record: replace(record, said={}), "nobody said yes"),
    "no decision": ("P8", without("approval.granted"), "nobody had granted 'ok'"),
    "a decision too late": ("P8", swapped("approval.granted", "step.started ship#0"), "nobody had granted"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_promise_is_named_with_its_event(record: Record, how: str) -> None:
    """The checker names the promise, why it does not hold, and where."""
    promise, break_it, why = BROKEN[how]

    with pytest.raises(PromiseBroken, match=promise) as broken:
        check_promises(break_it(record), promise)

    assert broken.value.promise == promise
    assert why in str(broken.value)


def test_every_promise_of_the_engine_is_checked() -> None:
    """P1 to P8, none left out, and each is shown here to be found broken."""
    assert list(PROMISES) == [f"P{n}" for n in range(1, 9)]
    assert {promise for promise, _, _ in BROKEN.values()} == set(PROMISES)
