"""Definitions in the log: which one a new execution runs, and that a running one keeps its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from actum import Graph
from actum.engine.publishing import deprecate, newest, publish, published, published_as
from actum.errors import BadInput, WorkflowDeprecated
from actum.events import Actor, to_text
from actum.eventstore import EventStore
from actum.eventstore.memory import MemoryStore
from actum.testing.clock import NOON_US
from tests.engine.world import engine_on, sound, virtually

NOON = to_text(NOON_US)
WE = Actor("person", "tester")


@pytest.fixture
def store() -> Iterator[EventStore]:
    with_nothing = MemoryStore()
    yield with_nothing
    sound(with_nothing)


async def one() -> str:
    return "one"


async def two() -> str:
    return "two"


def graph(*steps: Any, version: str = "") -> Graph:
    made = Graph("flow", version)
    for step in steps:
        made = made.step(step.__name__, step)
    for before, after in pairwise(steps):
        made = made.edge(before.__name__, after.__name__)
    return made


OLD, NEW = graph(one, version="1"), graph(one, two, version="2")


def test_the_newest_is_the_one_published_last(store: EventStore) -> None:
    """Publishing an old definition again, on purpose, makes it the newest; starting it does not."""
    assert [publish(store, code, NOON, WE) for code in (OLD, NEW, OLD)] == [True, True, False]
    assert newest(store, "flow").definition == NEW.digest
    assert publish(store, OLD, NOON, WE, again=True)
    assert newest(store, "flow").definition == OLD.digest
    assert not publish(store, OLD, NOON, WE, again=True)
    assert [(one.version, one.deprecated_at) for one in published(store)] == [("2", None), ("1", None)]


def test_a_deprecated_definition_is_not_started(store: EventStore) -> None:
    """The error says since when and why, nothing is written, and publishing it again takes it back."""
    publish(store, OLD, NOON, WE)
    publish(store, NEW, NOON, WE)
    deprecate(store, published_as(store, "flow")[1], NOON, WE, "charges twice")
    assert newest(store, "flow").definition == OLD.digest
    head = store.head()

    async def main() -> None:
        async with engine_on(store) as engine:
            with pytest.raises(WorkflowDeprecated, match="charges twice"):
                await engine.start(NEW)
            with pytest.raises(WorkflowDeprecated):
                await engine.submit(NEW)

    virtually(main())
    assert store.head() == head

    publish(store, NEW, NOON, WE, again=True)
    assert newest(store, "flow").definition == NEW.digest


def test_when_all_are_deprecated_there_is_none_to_start(store: EventStore) -> None:
    """Asking for the newest says that it is deprecated; asking for an unknown name gives the nearest one."""
    publish(store, OLD, NOON, WE)
    deprecate(store, newest(store, "flow"), NOON, WE)
    with pytest.raises(WorkflowDeprecated):
        newest(store, "flow")
    with pytest.raises(BadInput, match="did you mean 'flow'"):
        newest(store, "flw")


def test_a_changed_definition_does_not_change_what_runs(store: EventStore) -> None:
    """An execution that waits goes on with the digest it started with, whatever is published meanwhile."""
    before = graph(one).approval("ask", "Go on?").edge("one", "ask")
    after = before.step("two", two).edge("ask", "two")

    async def main() -> tuple[Any, Any]:
        async with engine_on(store) as engine:
            handle = await engine.start(before, id="old")
            assert await handle.wait_asking()
        publish(store, after, NOON, WE)
        async with engine_on(store) as engine:
            engine.register(after)
            handle = await engine.resume("old")
            await engine.approve("old", "ask", by="tester")
            first = await handle.result()
        async with engine_on(store) as engine:
            newer = await engine.start(after, id="new")
            await newer.wait_asking()
            await engine.approve("new", "ask", by="tester")
            return first, await newer.result()

    kept, newer = virtually(main())
    assert kept["status"] == "approved"
    assert newer == "two"
    rows = {row["id"]: row["definition"] for row in store.view("executions")}
    assert rows == {"old": before.digest, "new": after.digest}
