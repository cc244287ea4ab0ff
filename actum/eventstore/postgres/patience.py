"""Batches for streams that somebody else's open transaction holds: they wait aside, so that nothing else has to."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue

from actum.eventstore.protocol import Batch
from actum.eventstore.tables.writer import Answer, deliver

__all__ = ["PatientWriter"]

_Item = tuple[Batch, frozenset[str], float, Callable[[Answer], None]]


class PatientWriter:
    """Appends one batch after the other, waiting for its streams up to `patience_s` from when it was given in.

    `append(batch, wait_s, done)` does it. Whoever comes later for one of those streams must wait here too, so that
    nobody overtakes.
    """

    def __init__(self, patience_s: float, append: Callable[[Batch, float, Callable[[Answer], None]], None]) -> None:
        self._patience_s = patience_s
        self._append = append
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._streams: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def holds(self, batch: Batch) -> bool:
        """Whether a batch for one of these streams is waiting here."""
        if not self._streams:
            return False
        with self._lock:
            return any(isinstance(append[0], str) and append[0] in self._streams for append in batch)

    def give(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        """Append it when it can be; `done` is called with the answer, in another thread."""
        names = frozenset(append.stream for append in batch)
        with self._lock:
            self._streams.update(names)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="actum-patient-writer", daemon=True)
                self._thread.start()
        self._queue.put((batch, names, time.monotonic() + self._patience_s, done))

    def close(self) -> None:
        """Answer what waits, then end. Nothing may be given in any more."""
        if self._thread is not None:
            self._queue.put(None)
            if self._thread is not threading.current_thread():
                self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch, names, deadline, done = item
            try:
                self._append(batch, max(deadline - time.monotonic(), 0.05), done)
            except Exception as exc:  # noqa: BLE001 - it is the answer
                deliver(done, exc)
            with self._lock:
                self._streams.subtract(names)
                for name in names:
                    if self._streams[name] <= 0:
                        del self._streams[name]
