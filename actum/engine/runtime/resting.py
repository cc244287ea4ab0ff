"""Executions that only wait: let go from memory after a while, and brought back when something is due or has come.

A waiting execution costs its row in the store and a wake time here. Bringing it back is the same as after a crash:
its record is folded and its code re-run over it, so there is nothing that could be lost by letting go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from actum.engine.runtime.inputs import Wanting
from actum.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actum.engine.rules.state import Execution
    from actum.engine.runtime.run import Run

__all__ = ["Awaited", "Resting"]

log = logging.getLogger("actum.engine")

_BATCH = 50
"""Executions brought back before others get their turn."""
_LOOK_AGAIN_S = 60.0
"""How late it is seen that the wall clock was set on: timers do not know of it."""
_AGAIN_S = 1.0
"""How long after a store error the same is tried again."""


class Awaited:
    """What somebody may be waiting for, whether the execution is in memory or not."""

    __slots__ = ("__weakref__", "asking", "ended", "incomplete")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: asyncio.Future[Any] = loop.create_future()
        self.asking = asyncio.Event()
        """Set while nothing but the answer of a person can move the execution on."""
        self.incomplete = Wanting()
        """Set while nothing but more input can."""

    def see(self, state: Execution, *, committing: bool) -> None:
        """The execution has come to this; while something of it is being recorded, it waits for nobody yet."""
        if state.inputs:
            self.incomplete.see(state, committing=committing)
        idle = not state.active and not state.undoing and not committing
        if state.paused:
            self._set_asking(idle)
        elif state.approvals or self.asking.is_set():
            self._set_asking(idle and bool(state.waiting) and state.waiting.keys() <= state.approvals.keys())

    def _set_asking(self, asks: bool) -> None:
        if asks:
            self.asking.set()
        else:
            self.asking.clear()

    def fail(self, error: BaseException) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()  # nobody may be waiting, and that is fine


class Resting:
    """Which executions of this worker are at rest in memory, and which are asleep: at rest, and not in memory.

    At most `room` of them rest in memory; beyond that the longest at rest go to sleep before their time. As many
    are brought back at once, however many are due.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        runs: dict[str, Run],
        bring: Callable[[str], None],
        now_us: Callable[[], int],
        idle_after_s: float | None,
        room: int = 1_000,
    ) -> None:
        self.asleep: dict[str, int | None] = {}
        """When each is due, by id; None for never by itself."""
        self._loop = loop
        self._runs = runs
        self._bring = bring
        self._now_us = now_us
        self._idle_after_s = idle_after_s
        self._room = room
        self._at_rest: dict[str, Run] = {}
        """The longest at rest first; some may have gone on since."""
        self._dues: list[tuple[int, str]] = []
        self._to_wake: deque[str] = deque()
        self._sweep_at: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._waking: asyncio.Handle | None = None
        self._closed = False

    # -- going to sleep ----------------------------------------------------------------------------------------------

    def rests(self, run: Run) -> None:
        """Nothing of this execution is under way, as of now."""
        if self._idle_after_s is None or self._closed:
            return
        run.resting_since = self._loop.time()
        self._at_rest.pop(run.id, None)
        self._at_rest[run.id] = run
        if len(self._at_rest) > self._room and self._sweep_at is not None:
            self._sweep_at.cancel()
            self._sweep_at = None
        if self._sweep_at is None:
            delay_s = 0 if len(self._at_rest) > self._room else self._idle_after_s
            self._sweep_at = self._loop.call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        self._sweep_at = None
        if self._closed or self._idle_after_s is None:
            return
        long_ago = self._loop.time() - self._idle_after_s + 1e-6  # a timer may be early by a hair
        while self._at_rest:
            run = next(iter(self._at_rest.values()))
            if not run.at_rest:
                del self._at_rest[run.id]
            elif run.resting_since <= long_ago or len(self._at_rest) > self._room:
                del self._at_rest[run.id]
                self._sleep(run)
            else:
                self._sweep_at = self._loop.call_at(run.resting_since + self._idle_after_s, self._sweep)
                return

    def _sleep(self, run: Run) -> None:
        wake_us = run.wake_us
        run.sleep()
        self.put(run.id, wake_us)

    def put(self, id_: str, wake_us: int | None) -> None:
        """This execution is asleep until then."""
        self.asleep[id_] = wake_us
        if wake_us is not None:
            heappush(self._dues, (wake_us, id_))
            if self._dues[0] == (wake_us, id_):
                self._set_alarm()
        if self._to_wake:
            self._go_on_waking()

    # -- waking up ---------------------------------------------------------------------------------------------------

    def wake(self, id_: str) -> None:
        """Something has come for it: bring it back as soon as there is room."""
        if id_ in self.asleep:
            self._to_wake.append(id_)
            self._go_on_waking()

    def forget(self, id_: str) -> None:
        """It is in memory again, or no longer this worker's."""
        self.asleep.pop(id_, None)
        if len(self._dues) > 2 * len(self.asleep) + 64:  # what was forgotten would pile up
            self._dues = [(due, one) for due, one in self._dues if self.asleep.get(one) == due]
            heapify(self._dues)

    def left(self) -> None:
        """There may be room again."""
        if self._to_wake:
            self._go_on_waking()

    def stop_waking(self) -> None:
        """Nothing is brought back any more, and nothing is let go of."""
        self._closed = True

    def close(self) -> None:
        """Nothing is brought back any more."""
        self._closed = True
        for timer in (self._sweep_at, self._alarm, self._waking):
            if timer is not None:
                timer.cancel()
        self._at_rest.clear()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        delay_s = max(0, self._dues[0][0] - self._now_us()) / 1_000_000
        self._alarm = self._loop.call_later(min(delay_s, _LOOK_AGAIN_S), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now_us = self._now_us()
        while self._dues and self._dues[0][0] <= now_us:
            due, id_ = heappop(self._dues)
            if self.asleep.get(id_) == due:
                self._to_wake.append(id_)
        if self._dues:
            self._set_alarm()
        self._go_on_waking()

    def _go_on_waking(self) -> None:
        if self._waking is None and not self._closed:
            self._waking = self._loop.call_soon(self._wake_some)

    def _wake_some(self) -> None:
        self._waking = None
        for _ in range(_BATCH):
            if not self._to_wake or self._closed:
                return
            if len(self._runs) - len(self._at_rest) >= self._room:
                return  # `left` goes on
            id_ = self._to_wake.popleft()
            if id_ not in self.asleep:
                continue
            try:
                self._bring(id_)
            except StoreError as exc:
                log.warning("the store could not be read", extra={"error": str(exc)})
                self._to_wake.append(id_)
                self._loop.call_later(_AGAIN_S, self._go_on_waking)
                return
        self._go_on_waking()
