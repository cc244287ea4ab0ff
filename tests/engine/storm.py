"""A store in bad weather, in virtual time: answers are late, lost before or after the write, or refused for a while.

At every event that lands it also holds the engine to its promises about the log: see `Storm.landed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from actum.engine import Engine
from actum.engine.rules.dues import due_by
from actum.engine.rules.folding import fold
from actum.engine.rules.state import Execution
from actum.engine.rules.views import rebuild
from actum.errors import StoreRefused, StoreUnavailable
from actum.events import RecordedEvent
from actum.eventstore import Appended, Batch
from actum.eventstore.check.views import read_views
from actum.eventstore.memory import MemoryStore

STREAM: Final = "execution/one"
FATES: Final = ("ok", "lost", "landed", "late", "refused")


class Fate(NamedTuple):
    """What becomes of one append. `late`: it is written only after the answer said that nobody knows."""

    kind: str = "ok"
    write_s: float = 0
    """How long it takes to be written."""
    answer_s: float = 0
    """How long after that the answer takes; of a refusal, how long every append is refused."""


class Storm:
    """A memory store whose appends meet these fates, one after the other, and then only good ones."""

    def __init__(self, fates: list[Fate]) -> None:
        self.calm = MemoryStore()
        self.engines: dict[str, Engine] = {}
        """By worker."""
        self.wrong: list[str] = []
        """Every broken promise."""
        self.in_flight = 0
        self._fates = iter(fates)
        self._refuses_until = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.calm, name)

    def state(self) -> Execution:
        """What the log says at this moment."""
        return fold("one", self.calm.read_stream(STREAM))

    def append(self, batch: Batch) -> Appended:
        fate = self._fate()
        if fate.kind == "refused":
            raise self._refused()
        if fate.kind in ("lost", "late"):
            raise StoreUnavailable("before the write")
        appended = self.calm.append(batch)
        self.landed(batch)
        if fate.kind == "landed":
            raise StoreUnavailable("after the write")
        return appended

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        fate = self._fate()
        match fate.kind:
            case "refused":
                self._in(0, lambda: done(self._refused()))
            case "lost":
                self._in(fate.answer_s, lambda: done(StoreUnavailable("before the write")))
            case "late":
                self._in(fate.answer_s, lambda: done(StoreUnavailable("perhaps")))
                self._in(fate.answer_s + fate.write_s, lambda: self._write(batch))
            case _:
                self._in(fate.write_s, lambda: self._write_and_answer(batch, fate, done))

    def _write_and_answer(self, batch: Batch, fate: Fate, done: Callable[[Appended | Exception], None]) -> None:
        written = self._write(batch)
        answer = StoreUnavailable("after the write") if fate.kind == "landed" else written
        self._in(fate.answer_s, lambda: done(answer))

    def _write(self, batch: Batch) -> Appended | Exception:
        try:
            appended = self.calm.append(batch)
        except Exception as exc:
            return exc
        self.landed(batch)
        return appended

    def _fate(self) -> Fate:
        now = asyncio.get_running_loop().time()
        if now < self._refuses_until:
            return Fate("refused")
        fate = next(self._fates, Fate())
        if fate.kind == "refused":
            self._refuses_until = now + fate.answer_s
        return fate

    def _refused(self) -> StoreRefused:
        return StoreRefused("memory://", "the disk is full, for a test")

    def _in(self, delay_s: float, do: Callable[[], Any]) -> None:
        self.in_flight += 1

        def now() -> None:
            self.in_flight -= 1
            do()

        asyncio.get_running_loop().call_later(delay_s, now)

    # -- what must hold whenever something has been written ------------------------------------------------------------

    def landed(self, batch: Batch) -> None:
        """The views are what the log gives, and what its owner has in memory is what the log gives."""
        rebuilt, kept = rebuild(self.calm.read()), read_views(self.calm)
        for view, rows in rebuilt.items():
            if rows != kept[view]:
                self.wrong.append(f"view {view} has {kept[view]}, the log gives {rows}")
        last = batch[0].events[-1]  # the first is of the stream whose owner appends
        events = self.calm.read_stream(STREAM)
        engine = self.engines.get(last.actor.ref)
        run = None if engine is None else engine._runs.get("one")
        if run is None or not events or events[-1].id != last.id:
            return
        remembered, said = laid_out(run.state), laid_out(fold("one", events))
        for slot, value in said.items():
            if remembered[slot] != value:
                self.wrong.append(f"{slot} is {remembered[slot]} in memory, the log gives {value}")


def laid_out(state: Execution) -> dict[str, Any]:
    """Every slot of a state, as plain values in the order they have.

    Of the dues, what is due at all: how the heap lies, and what is left in it that no longer holds, nobody may rely on.
    Nor on which questions somebody has written the rows of already.
    """
    found = {slot: _plain(getattr(state, slot)) for slot in Execution.__slots__}
    del found["due_count"], found["decided"]
    found["dues"] = {(due.due_us, due.kind, due.key) for due in due_by(state, 1 << 62)}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _plain(one)) for key, one in value.items()]
    if isinstance(value, (str, bytes, int, list, set, tuple, type(None))):
        return value
    fields = getattr(type(value), "__slots__", None) or vars(value)
    # A request that is not recorded yet has no digest: the one who asked reads it in the log when it is answered.
    return {name: getattr(value, name) for name in fields if name != "shown"}


def starts(events: list[RecordedEvent]) -> dict[tuple[str, int], RecordedEvent]:
    """The recorded starts of steps and compensations, by what their code knows of itself: key and attempt."""
    found: dict[tuple[str, int], RecordedEvent] = {}
    for event in events:
        if event.type in ("step.started", "compensation.started"):
            facts = event.facts
            scope = f"{facts['scope']}/" if "scope" in facts else ""
            undo = "/undo" if event.type.startswith("compensation") else ""
            found[f"{scope}{facts['step']}#{facts['occurrence']}{undo}", facts["attempt"]] = event
    return found
