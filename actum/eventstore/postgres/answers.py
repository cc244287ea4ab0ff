"""Answers that wait for positions: given when the sequencer, wherever it is, has given those."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from actum.errors import StoreError, StoreUnavailable
from actum.eventstore.postgres.connection import DatabaseError
from actum.eventstore.postgres.group import Unplaced
from actum.eventstore.postgres.open import Address
from actum.eventstore.postgres.write import WriteLane, positions_of
from actum.eventstore.protocol import Appended
from actum.eventstore.tables.writer import Answer, deliver

__all__ = ["WaitingAnswers"]

log = logging.getLogger("actum.eventstore")

_POLL_S = (0.001, 0.01)


class _Item(NamedTuple):
    written: Answer | Unplaced
    done: Callable[[Answer], None]
    deadline: float


class WaitingAnswers:
    """Delivers in the order in which they were given in. What gets no positions in time is answered `StoreUnavailable`.

    The thread begins with the first answer that has to wait: in the process that gives positions none has to.
    """

    def __init__(self, address: Address, tenant_no: int) -> None:
        self._address = address
        self._tenant_no = tenant_no
        self._lane = WriteLane(address)
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether an answer is waiting."""
        return bool(self._items)

    def give(self, written: Answer | Unplaced, done: Callable[[Answer], None]) -> None:
        """Deliver this after everything given in before, and when it has its positions."""
        with self._changed:
            self._items.append(_Item(written, done, time.monotonic() + self._address.answer_s))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="actum-answers", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Deliver what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._lane.close()

    def _run(self) -> None:
        pause, longest = _POLL_S
        while True:
            with self._changed:
                while not self._items and not self._closed:
                    self._changed.wait()
                if not self._items:
                    return
            if self._deliver_some():
                pause = _POLL_S[0]
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, longest)

    def _deliver_some(self) -> bool:
        some = [self._items[i] for i in range(min(len(self._items), 500))]
        wanted = [number for item in some if isinstance(item.written, Unplaced) for number in item.written.events]
        known: dict[int, int] = {}
        try:
            if wanted:
                known = positions_of(self._lane.connection(), self._tenant_no, wanted)
        except (DatabaseError, StoreError) as exc:
            log.warning("positions cannot be read", extra={"problem": str(exc)})
            self._lane.undo()
        delivered = False
        for item in some:
            answer = self._answer(item, known)
            if answer is None:
                break
            deliver(item.done, answer)
            self._items.popleft()  # only now: until then `busy` keeps others from being answered before it
            delivered = True
        return delivered

    def _answer(self, item: _Item, known: dict[int, int]) -> Answer | None:
        written = item.written
        if not isinstance(written, Unplaced):
            return written
        at = [known[number] for number in written.events if number in known]
        if len(at) == len(written.events):
            return Appended(min(at), max(at), written.versions)
        if time.monotonic() < item.deadline:
            return None
        return StoreUnavailable(
            f"the events are durable, but have waited {self._address.answer_s:g} s for their positions: "
            "no process that gives them is running"
        )
