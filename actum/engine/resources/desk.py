"""Where the executions of one engine ask for what their steps need, and hear when they have got it.

Everything here runs in the event loop's thread but the turns at a book that other processes share, which run in a
thread of their own. A turn says everything anew, so one that got lost, or came twice, changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from actum.engine.resources.book import Ask, Book
from actum.engine.resources.breaking import CLOSED, Answer, Gate, fold_gate
from actum.engine.resources.exchange import Said, Turn, exchange
from actum.engine.resources.shelf import Shelf, shelf_of
from actum.engine.rules.calls import Failure
from actum.errors import StoreError, VersionConflict
from actum.events import Actor, NewEvent, to_text
from actum.eventstore import Append

if TYPE_CHECKING:
    from actum.engine.resources.declared import Resources
    from actum.engine.runtime.ports import Owners, World
    from actum.eventstore import EventStore

__all__ = ["Desk"]

log = logging.getLogger("actum.engine")

_SHOWN = 16
"""How many of each line are in the book; the others follow as these are given what they wait for."""
_LOOK_S = 0.05
"""How late it sees that another process has given something back."""
_PULSE_S = 1.0
"""How late it sees that a worker has died."""
_AGAIN_S = 0.5


class Desk:
    """`answered` is called with the id of an ask that was granted or refused."""

    def __init__(
        self,
        rules: Resources,
        store: EventStore,
        owners: Owners,
        world: World,
        worker: str,
        answered: Callable[[str], None],
    ) -> None:
        self.rules = rules
        self._store = store
        self._owners = owners
        self._world = world
        self._worker = worker
        self._answered = answered
        self._lines: dict[tuple[Any, ...], dict[str, Ask]] = {}
        self._waiting: dict[str, Ask] = {}
        self._held: dict[str, Ask] = {}
        self._refused: dict[str, Failure] = {}
        self.reclaimed: dict[str, tuple[int, int]] = {}
        """What executions are to give back between two steps: id → the rank of who waits for it."""
        self._returned: set[str] = set()
        """Of what was held and given back since the last turn; it may be asked for again already."""
        self._fresh: dict[str, None] = {}
        """Asks that nobody has looked at yet."""
        self._of: dict[str, set[str]] = {}
        """Execution → its asks."""
        self._answers: list[Answer] = []
        self._gates: dict[str, Gate] = {}
        self._shelf: Shelf | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._turning = False
        self._again = False
        self._stamp: object = None
        self._looked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Future[Turn] | None = None
        self._closed = False
        self._stopped = False

    # -- for executions ----------------------------------------------------------------------------------------------

    def ask(self, ask: Ask) -> Failure | bool:
        """Whether it has it, or why it will not get it. False: it waits, from now on, and is told."""
        held = self._held.get(ask.id)
        if held is not None:
            if held.rank != ask.rank:  # it has come to undo what it did: nobody goes before it any more
                self._held[ask.id] = held._replace(rank=ask.rank)
                self._soon()
            return True
        before = self._waiting.get(ask.id)
        if before is not None and before.rank != ask.rank:
            self._unline(ask.id)
        refused = self._refused.pop(ask.id, None)
        if refused is not None:
            self._forget(ask.id)
            return refused
        if ask.id not in self._waiting and not (self._closed or (self._stopped and ask.rank[0] > 0)):
            self._waiting[ask.id] = ask
            self._lines.setdefault(ask.line, {})[ask.id] = ask
            self._of.setdefault(ask.id.partition("/")[0], set()).add(ask.id)
            self._fresh[ask.id] = None
            self._soon()
        return False

    def give_back(self, id_: str, failed: Failure | None = None, *, known: bool = False) -> None:
        """It is not needed any more, or not waited for. With `known`, how the attempt ended counts at its breaker."""
        ask = self._held.pop(id_, None)
        if ask is not None:
            self._returned.add(id_)
        if ask is None:
            ask = self._unline(id_)
        elif ask.breaker and known:
            breaker = self.rules.breakers[ask.breaker]
            counts = failed is not None and breaker.counts((failed.error_type, *failed.bases))
            kind = failed.error_type if failed is not None else ""
            now_us = self._world.now_us()
            self._answers.append(Answer(ask.breaker, ask.granted_us, now_us, failed is not None, counts, kind))
        self._refused.pop(id_, None)
        self.reclaimed.pop(id_, None)
        self._forget(id_)
        if ask is not None:
            self._soon()

    def holds(self, id_: str) -> bool:
        return id_ in self._held

    def asked_by(self, execution: str) -> set[str]:
        """What this execution holds or waits for."""
        return set(self._of.get(execution, ()))

    def forget(self, execution: str) -> None:
        """This execution has ended, or was let go of."""
        for id_ in self.asked_by(execution):
            self.give_back(id_)

    def _forget(self, id_: str) -> None:
        execution = id_.partition("/")[0]
        of = self._of.get(execution)
        if of is not None:
            of.discard(id_)
            if not of:
                del self._of[execution]

    def _unline(self, id_: str) -> Ask | None:
        ask = self._waiting.pop(id_, None)
        if ask is not None:
            self._fresh.pop(id_, None)
            line = self._lines[ask.line]
            del line[id_]
            if not line:
                del self._lines[ask.line]
        return ask

    def stop_asking(self) -> None:
        """Wait for nothing new any more; what is held stays until it is given back.

        Compensations that have begun go on: they are under way.
        """
        self._stopped = True
        for id_ in [id_ for id_, ask in self._waiting.items() if ask.rank[0] > 0]:
            self.give_back(id_)

    def close(self) -> None:
        """Give everything back."""
        self._closed = self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=True)
        if self._shelf is None:
            return
        try:
            self._exchange(Said(self._worker, {}, (), {}, self._answers))
        except StoreError as exc:
            log.warning(
                "what was held could not be given back; it is when this worker is gone", extra={"error": str(exc)}
            )
        self._shelf.close()

    # -- turns -------------------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        """Have a turn, together with all that is asked in the same breath."""
        if self._turning or self._closed:
            self._again = True
            return
        self._turning = True
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._again = False
        if self._closed:
            return
        said = Said(self._worker, dict(self._held), self._heads(), self._counts(), self._answers, self._returned)
        fresh = list(self._fresh)
        self._answers, self._returned = [], set()
        try:
            if self._shelf is None:
                self._shelf = shelf_of(self._store, self._world.now_us)
            if not self._shelf.shared:
                self._turned(said, fresh, self._exchange(said))
                return
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "actum-resources")
            self._task = asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, said)
            self._task.add_done_callback(lambda done: self._done(said, fresh, done))
        except Exception as exc:  # noqa: BLE001 - a store that is away, most likely: the same is said again
            self._failed(said, exc)

    def _done(self, said: Said, fresh: list[str], done: asyncio.Future[Turn]) -> None:
        if done.cancelled() or self._closed:
            return
        failure = done.exception()
        if failure is None:
            self._turned(said, fresh, done.result())
        else:
            self._failed(said, failure)

    def _failed(self, said: Said, exc: BaseException) -> None:
        """Nothing was given. What counts at breakers is said again with the rest."""
        if not isinstance(exc, StoreError):
            log.error("resources could not be shared out", exc_info=exc)
        else:
            log.warning("resources could not be shared out; trying again", extra={"error": str(exc)})
        self._answers = [*said.answers, *self._answers]
        self._returned |= said.returned
        self._turning = False
        self._set_timer(_AGAIN_S)

    def _exchange(self, said: Said) -> Turn:
        assert self._shelf is not None

        def do(book: Book, now_us: int) -> Turn:
            return exchange(book, said, self.rules, now_us, self._owners.alive, self._gate, self._say)

        return self._shelf.change(do)

    def _turned(self, said: Said, fresh: list[str], turn: Turn) -> None:
        self._turning = False
        told: list[str] = []
        for ask in turn.granted:
            if self._unline(ask.id) is None:
                self._again = True  # not wanted any more: the next turn gives it back
                continue
            self._held[ask.id] = ask
            told.append(ask.id)
        for id_, failure in self._to_refuse(said, fresh, turn):
            self._unline(id_)
            self._refused[id_] = failure
            told.append(id_)
        if turn.reclaimed or self.reclaimed:
            reclaimed = {id_: rank for id_, rank in turn.reclaimed.items() if id_ in self._held}
            told += [id_ for id_ in reclaimed.keys() | self.reclaimed.keys() if id_ not in told]
            self.reclaimed = reclaimed
        if turn.granted and len(self._waiting) >= _SHOWN:
            self._again = True  # those behind them stand in the book now
        for id_ in told:
            self._answered(id_)
        if self._again:
            self._soon()
            return
        due_s = None if turn.due_in_us is None else turn.due_in_us / 1_000_000
        if self._shelf is not None and self._shelf.shared and (self._waiting or self._held):
            due_s = _PULSE_S if due_s is None else min(due_s, _PULSE_S)
        self._set_timer(due_s)

    def _set_timer(self, delay_s: float | None) -> None:
        """Have a turn then; and look meanwhile whether others have changed what is shared."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay_s is None or self._closed:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._looks and self._shelf is not None and self._shelf.shared:
            self._timer = loop.call_later(min(delay_s, _LOOK_S), self._look, at)
        else:
            self._timer = loop.call_later(delay_s, self._soon)

    @property
    def _looks(self) -> bool:
        """Whether what others change may concern it before the next turn."""
        return bool(self._waiting) or any(ask.preemptible for ask in self._held.values())

    def _look(self, at: float) -> None:
        self._timer = None
        if self._turning or self._closed:
            return
        left_s = at - asyncio.get_running_loop().time()
        assert self._shelf is not None
        try:
            stamp = self._shelf.stamp()
        except StoreError:
            stamp = None
        if left_s <= 0 or stamp != self._stamp:
            self._stamp = stamp
            self._soon()
        else:
            self._set_timer(left_s)

    # -- breakers: in whichever thread has the turn ------------------------------------------------------------------

    def _gate(self, name: str) -> Gate:
        """What the breaker is, as its stream says now."""
        gate = self._gates.get(name, CLOSED)
        if self._store.stream_version(f"breaker/{name}") != gate.version:
            gate = self._gates[name] = fold_gate(gate, self._store.read_stream(f"breaker/{name}", gate.version))
        return gate

    def _say(self, name: str, type_: str, now_us: int, facts: dict[str, object]) -> Gate:
        gate = self._gate(name)
        event = NewEvent(type_, facts, to_text(now_us), Actor("worker", self._worker))
        event.id = self._world.new_id()
        try:
            self._store.append([Append(f"breaker/{name}", gate.version, [event])])
        except VersionConflict:  # somebody else saw the same
            return self._gate(name)
        gate = self._gates[name] = fold_gate(gate, [event])
        return gate

    # -- what it says ------------------------------------------------------------------------------------------------

    def _heads(self) -> list[Ask]:
        return [ask for line in self._lines.values() for ask in islice(line.values(), _SHOWN)]

    def _counts(self) -> dict[str, tuple[int, int]]:
        """Name → how many wait here, and since when the first."""
        found: dict[str, tuple[int, int]] = {}
        for line in self._lines.values():
            first = next(iter(line.values()))
            for name in (*first.units, *([f"breaker {first.breaker}"] if first.breaker else ())):
                number, since_us = found.get(name, (0, first.at_us))
                found[name] = (number + len(line), min(since_us, first.at_us))
        return found

    def _to_refuse(self, said: Said, fresh: list[str], turn: Turn) -> Iterable[tuple[str, Failure]]:
        """Asks that will not be granted: the line is full, or the breaker is open and they do not wait for it."""
        here = self._counts()
        stuck = {ask.line for ask in said.waiting if ask.id in self._waiting}  # so has who stands behind them
        for id_ in reversed([id_ for id_ in fresh if id_ in self._waiting]):
            ask = self._waiting[id_]
            if ask.line not in stuck:
                continue
            self._fresh.pop(id_, None)
            for name in ask.units:
                pool = self.rules.pools.get(name)
                wait = here.get(name, (0, 0))[0] + turn.lines.get(name, 0)
                if pool is not None and pool.queue is not None and not ask.stays and wait > pool.queue:
                    for other in (*ask.units, f"breaker {ask.breaker}"):
                        if other in here:
                            here[other] = (here[other][0] - 1, here[other][1])
                    yield id_, Failure("PoolFull", f"{pool.queue} steps wait for pool {name!r}, which is all that may")
                    break
        for name, gate in turn.gates.items():
            if gate.status != "closed" and self.rules.breakers[name].when_open == "fail":
                for id_ in [id_ for id_, ask in self._waiting.items() if ask.breaker == name]:
                    yield id_, Failure("CircuitOpen", f"breaker {name!r} is {gate.status.replace('_', ' ')}")
