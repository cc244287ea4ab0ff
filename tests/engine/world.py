"""A world under control: virtual time, and stores that are held to their promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from actum.engine import Engine
from actum.errors import StoreUnavailable
from actum.eventstore import Appended, Batch, EventStore
from actum.testing.harness.history import brief
from actum.testing.simulation.loop import VirtualLoop, virtually
from actum.testing.simulation.promises import Record, check_promises
from actum.testing.simulation.world import VirtualWorld

__all__ = [
    "Between",
    "VirtualLoop",
    "VirtualWorld",
    "brief",
    "engine_on",
    "history",
    "really",
    "sound",
    "until",
    "virtually",
]

T = TypeVar("T")


def really(main: Coroutine[Any, Any, T]) -> T:
    """Run in real time, and fail instead of hanging."""

    async def limited() -> T:
        async with asyncio.timeout(30):
            return await main

    return asyncio.run(limited())


def engine_on(store: EventStore, **more: Any) -> Engine:
    """An engine in virtual time."""
    return Engine(store, world=VirtualWorld(), blocked_after_s=None, **more)


async def until(holds: Callable[[], Any]) -> None:
    """Let the others go on until it holds; what never comes to hold fails the test."""
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to hold")


# -- what the log says -------------------------------------------------------------------------------------------------


def history(store: EventStore, id_: str = "one") -> list[str]:
    return [brief(event) for event in store.read_stream(f"execution/{id_}")]


def sound(store: EventStore) -> None:
    """Hold a log to what every log must be: bytes, chains, tree, views, facts, and the rules of each execution."""
    check_promises(Record(store, may_be_open=True))


# -- stores that misbehave ---------------------------------------------------------------------------------------------


class Between:
    """A store that calls `before` ahead of every append with its number, from 1; what that returns is the answer.

    None lets the append through; `LANDED` lets it through and loses the answer; an error is the answer without it.
    """

    LANDED = StoreUnavailable("a fault for testing, after the write")
    LOST = StoreUnavailable("a fault for testing, before the write")

    def __init__(self, store: EventStore, before: Callable[[int, Batch], Exception | None]) -> None:
        self._store = store
        self._before = before
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, batch: Batch) -> Appended:
        self.count += 1
        answer = self._before(self.count, batch)
        if answer is None or answer is self.LANDED:
            appended = self._store.append(batch)
            if answer is None:
                return appended
        assert answer is not None
        raise answer

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        self.count += 1
        answer = self._before(self.count, batch)
        if answer is None:
            self._store.append_soon(batch, done)
        elif answer is self.LANDED:
            self._store.append_soon(batch, lambda _: done(answer))
        else:
            done(answer)
