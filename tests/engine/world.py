"""A world under control: a loop whose clock jumps to what is due next, and stores that are held to their promises."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from actum.engine import Engine
from actum.engine.rules.folding import fold
from actum.engine.rules.views import rebuild
from actum.engine.runtime.ports import World
from actum.errors import StoreUnavailable
from actum.events import RecordedEvent
from actum.events.catalog import validate_facts
from actum.eventstore import Appended, Batch, EventStore
from actum.eventstore.check.store import check_store
from actum.testing.clock import NOON_US

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout is not None else 5)
        if timeout is None and not ready:
            raise AssertionError("everything waits, and nothing will ever happen")
        if timeout is not None and timeout > 0 and not ready:
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while there is anything to do, and then jumps to the next timer. For async steps only."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class VirtualWorld(World):
    """The clock of a virtual loop, from noon on, and jitter that is always half."""

    def now_us(self) -> int:
        return NOON_US + round(asyncio.get_running_loop().time() * 1_000_000)

    def chance(self) -> float:
        return 0.5


def virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time: hours take no time, and everything comes in the same order every time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


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


def brief(event: RecordedEvent) -> str:
    """An event in a few words: `step.started a#0`, with the attempt when it is not the first."""
    facts = event.facts
    noun = {"compensation": "step"}.get(event.type.partition(".")[0], event.type.partition(".")[0])
    if noun not in facts or "occurrence" not in facts:
        return event.type
    scope = f"{facts['scope']}/" if "scope" in facts else ""
    attempt = f" ({facts['attempt']})" if facts.get("attempt", 1) > 1 else ""
    return f"{event.type} {scope}{facts[noun]}#{facts['occurrence']}{attempt}"


def history(store: EventStore, id_: str = "one") -> list[str]:
    return [brief(event) for event in store.read_stream(f"execution/{id_}")]


def sound(store: EventStore) -> None:
    """Hold a log to what every log must be: bytes, chains, tree, views, facts, and the rules of each execution."""
    found = check_store(store, rebuild=rebuild)
    assert found.verdict == "verified", found
    assert all(check.ok for check in found.checks if check.name == "projections"), found
    for event in store.read():
        validate_facts(event.type, event.facts)
    for name, _, _ in store.streams():
        if name.startswith("execution/"):
            _lawful(store.read_stream(name))


def _lawful(events: list[RecordedEvent]) -> None:
    types = [event.type for event in events]
    words = [brief(event) for event in events]
    ended = 0
    for n, event in enumerate(events):
        if event.type in ("execution.completed", "execution.failed", "execution.cancelled"):
            assert not ended, words
            ended = n
        elif ended and event.facts.get("reopened"):
            ended = 0
        elif ended:  # after the end only what is said about it; and of a child, that it ended when a person ended this
            if event.type == "child.ended" and types[ended] == "execution.cancelled":
                continue
            assert event.type in ("execution.corrected", "intervention.recorded"), words
    assert types.count("execution.started") == 1, words
    assert len({event.id for event in events}) == len(events)
    completed = [word.partition(" (")[0] for word in words if word.startswith("step.completed")]
    assert len(set(completed)) == len(completed), words
    _undone_in_reverse(events, words)
    fold("x", events)


def _undone_in_reverse(events: list[RecordedEvent], words: list[str]) -> None:
    """When a step begins to be undone, none that completed after it is undone later, but of its own group."""
    about = {word.split()[1]: event.facts for word, event in zip(words, events, strict=True) if "step.started" in word}
    done: dict[str, int] = {}
    undone: dict[str, int] = {}
    for n, word in enumerate(words):
        if word.startswith("step.completed"):
            done[word.split()[1]] = n
        elif word.startswith("compensation.started") and "(" not in word:
            undone[word.split()[1]] = n
    for key, begun in undone.items():
        for other in undone:
            later = done[key] < done[other] < begun < undone[other]
            group = about[key].get("undo_group")
            assert not later or (group and group == about[other].get("undo_group")), words


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
