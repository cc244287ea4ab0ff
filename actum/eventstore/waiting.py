"""Waiting for the log to grow: woken by this process's own commits, and asking now and then for those of others."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

__all__ = ["Waiting"]


class Waiting:
    """The part of a store, or of its reading half, that waits. `_closed` says that nobody need wait any more."""

    _poll_s: ClassVar[tuple[float, float]] = (0.05, 0.05)
    """How late another process's commit may be seen by `wait`: at first, and when nothing happens."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._commits = 0
        self._closed = False

    def head(self) -> int:
        raise NotImplementedError

    def wait(self, position: int, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        pause, longest = self._poll_s
        while True:
            commits = self._commits
            size = self.head()
            left = deadline - time.monotonic()
            if size > position or left <= 0:
                return size
            with self._changed:
                if commits == self._commits and not self._closed:
                    self._changed.wait(min(left, pause))
            pause = min(pause * 1.5, longest)

    def _wake(self) -> None:
        """Something was committed here."""
        with self._changed:
            self._commits += 1
            self._changed.notify_all()

    def _end_waiting(self) -> None:
        """The store is closed from here on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
