"""A memory store in bad weather, in virtual time: answers are late, lost before or after the write, or refused.

At every event that lands it holds the engine to what must hold at every moment: the views are what the log gives, and
what the owner of an execution has in memory is what the log gives. Nothing else is kept from the calm store below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from actum.engine import Engine
from actum.engine.rules.dues import due_by
from actum.engine.rules.folding import evolve
from actum.engine.rules.state import Execution
from actum.engine.rules.views import rows_after
from actum.errors import StoreRefused, StoreUnavailable
from actum.events import RecordedEvent
from actum.eventstore import Appended, Batch
from actum.eventstore.memory import MemoryStore
from actum.eventstore.views import VIEWS
from actum.testing.simulation.weather import Fate

__all__ = ["Storm"]


class Storm:
    """A store whose appends meet these fates, one after the other, and then only good ones. An `EventStore`."""

    def __init__(self, fates: Iterable[Fate] = (), clock: Callable[[], int] | None = None) -> None:
        self.calm = MemoryStore() if clock is None else MemoryStore(clock=clock)
        """What has been written."""
        self.engines: dict[str, Engine] = {}
        """By worker."""
        self.wrong: list[tuple[str, int, str]] = []
        """What did not hold: the promise, the position of the last event then, and what was wrong."""
        self.acknowledged: list[tuple[int, list[str]]] = []
        """Appends whose answer was given: first position and ids."""
        self.in_flight = 0
        self.landed_at = 0.0
        """When something was written last, by the loop's clock."""
        self._states: dict[str, Execution] = {}
        self._fates = iter(fates)
        self._refuses_until = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.calm, name)

    def state(self, id_: str) -> Execution:
        """What the log says of an execution at this moment. It goes on with the log: look, and do not keep it."""
        found = self._states.get(id_)
        return Execution(id_) if found is None else found

    def pace_s(self) -> float:
        """How often it is worth looking: the longer nothing was written, the less."""
        return min(0.25, 0.01 + (asyncio.get_running_loop().time() - self.landed_at) / 5)

    def last(self, id_: str) -> str:
        """The execution that this one has gone on as, or itself."""
        following = self.state(id_).next
        return id_ if following is None else self.last(following)

    def wanted(self) -> list[tuple[str, str]]:
        """Executions that wait for input, and the key of what they have asked for."""
        return [
            (id_, key)
            for id_, state in self._states.items()
            for key, asked in state.inputs.items()
            if not asked.received_at and not state.ended
        ]

    def open(self) -> list[Execution]:
        """Every execution that has not ended."""
        return [state for state in self._states.values() if not state.ended]

    def events(self, id_: str) -> list[RecordedEvent]:
        return self.calm.read_stream(f"execution/{id_}")

    def append(self, batch: Batch) -> Appended:
        fate = self._fate()
        if fate.kind == "refused":
            raise self._refused()
        if fate.kind in ("lost", "late"):
            raise StoreUnavailable("a simulated fault, before the write")
        appended = self._write(batch)
        if isinstance(appended, Exception):
            raise appended
        if fate.kind == "landed":
            raise StoreUnavailable("a simulated fault, after the write")
        self._acknowledge(batch, appended)
        return appended

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        fate = self._fate()
        match fate.kind:
            case "refused":
                self._in(0, lambda: done(self._refused()))
            case "lost":
                self._in(fate.answer_s, lambda: done(StoreUnavailable("a simulated fault, before the write")))
            case "late":
                self._in(fate.answer_s, lambda: done(StoreUnavailable("a simulated fault: nobody knows")))
                self._in(fate.answer_s + fate.write_s, lambda: self._write(batch))
            case _:
                self._in(fate.write_s, lambda: self._write_and_answer(batch, fate, done))

    def _write_and_answer(self, batch: Batch, fate: Fate, done: Callable[[Appended | Exception], None]) -> None:
        written = self._write(batch)

        def answer() -> None:
            if fate.kind == "landed":
                done(StoreUnavailable("a simulated fault, after the write"))
                return
            if isinstance(written, Appended):
                self._acknowledge(batch, written)
            done(written)

        self._in(fate.answer_s, answer)

    def _acknowledge(self, batch: Batch, appended: Appended) -> None:
        self.acknowledged.append((appended.first_position, [event.id for append in batch for event in append.events]))

    def _write(self, batch: Batch) -> Appended | Exception:
        before = self.calm.head()
        try:
            appended = self.calm.append(batch)
        except Exception as exc:  # noqa: BLE001 - it is the answer
            return exc
        if self.calm.head() > before:
            self.landed_at = asyncio.get_running_loop().time()
            self._landed(batch, before)
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
        return StoreRefused("memory://", "the disk is full (simulated)")

    def _in(self, delay_s: float, do: Callable[[], Any]) -> None:
        self.in_flight += 1

        def now() -> None:
            self.in_flight -= 1
            do()

        asyncio.get_running_loop().call_later(delay_s, now)

    # -- what must hold whenever something has been written ------------------------------------------------------------

    def _landed(self, batch: Batch, before: int) -> None:
        touched: dict[str, bool] = {}
        for event in self.calm.read(before - 1):
            if event.stream.startswith("execution/"):
                id_ = event.stream.removeprefix("execution/")
                state = self.state(id_)
                touched.setdefault(id_, state.ended and not state.can_reopen)
                self._states[id_] = evolve(state, event)
        for id_, over in touched.items():
            if not over:  # what comes after an end changes no row
                self._check_views(id_)
        last = batch[0].events[-1]  # the first is of the stream whose owner appends
        id_ = batch[0].stream.removeprefix("execution/")
        engine = self.engines.get(last.actor.ref)
        run = None if engine is None else engine._runs.get(id_)
        if run is not None and id_ in touched:
            said = self.state(id_)
            if self.calm.read_stream(said.stream, said.version - 1)[0].id == last.id:
                self._check_memory(run.state, said)

    def _check_views(self, id_: str) -> None:
        rows, _ = rows_after(self.state(id_), None)
        for view, key, row in rows:
            kept = self.calm._views[view].get(key)
            wanted = None if row is None else dict(zip(VIEWS[view].key, key, strict=True)) | dict(row)
            if kept != wanted:
                self._is_wrong("P3", f"view {view} has {kept}, the log gives {wanted}")

    def _check_memory(self, remembered: Execution, said: Execution) -> None:
        # How the heap of what is due lies, what is left in it that no longer holds, and whose rows are written already,
        # nobody may rely on: only on what is due.
        mine_due, due = ({one._replace(number=0) for one in due_by(state, _EVER)} for state in (remembered, said))
        if mine_due != due:
            self._is_wrong("P3", f"{mine_due} is due in memory, the log gives {due}")
        for slot in Execution.__slots__:
            if slot in ("dues", "due_count", "decided"):
                continue
            mine, right = getattr(remembered, slot), getattr(said, slot)
            if mine != right and _plain(mine) != _plain(right):
                self._is_wrong("P3", f"{slot} is {_plain(mine)} in memory, the log gives {_plain(right)}")

    def _is_wrong(self, promise: str, why: str) -> None:
        self.wrong.append((promise, self.calm.head() - 1, why))


_EVER: Final = 1 << 62


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _plain(one)) for key, one in value.items()]
    if isinstance(value, (str, bytes, int, list, set, tuple, type(None))):
        return value
    fields = getattr(type(value), "__slots__", None) or vars(value)
    # A request that is not recorded yet has no digest: the one who asked reads it in the log when it is answered.
    return {name: getattr(value, name) for name in fields if name != "shown"}
