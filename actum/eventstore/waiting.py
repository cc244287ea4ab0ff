"""Waiting for the log to grow: woken by this process's own commits, and asking now and then for those of others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import ClassVar

from actum.errors import StoreError

__all__ = ["Listeners", "Waiting"]


class Listeners:
    """Those who are told that the log has grown, by calls that must be quick and must not raise."""

    def __init__(self) -> None:
        self._all: tuple[Callable[[], None], ...] = ()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, woken: Callable[[], None]) -> None:
        with self._lock:
            self._all = (*self._all, woken)

    def remove(self, woken: Callable[[], None]) -> None:
        with self._lock:
            self._all = tuple(one for one in self._all if one is not woken)

    def tell(self) -> None:
        for woken in self._all:
            woken()


class Waiting:
    """The part of a store, or of its reading half, that waits. `_closed` says that nobody need wait any more."""

    _poll_s: ClassVar[tuple[float, float]] = (0.05, 0.05)
    """How late another process's commit may be seen by `wait`: at first, and when nothing happens."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._commits = 0
        self._closed = False
        self._listeners = Listeners()
        self._ear: threading.Event | None = None
        """Set when nobody listens any more."""

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

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        self._listeners.add(woken)
        with self._changed:
            if self._ear is None and not self._closed:
                self._ear = threading.Event()
                name = "actum-listening"
                threading.Thread(target=self._hear_others, args=(self._ear,), name=name, daemon=True).start()
        return lambda: self._listen_no_more(woken)

    def _listen_no_more(self, woken: Callable[[], None]) -> None:
        self._listeners.remove(woken)
        with self._changed:
            if not self._listeners and self._ear is not None:
                self._ear.set()
                self._ear = None

    def _hear_others(self, over: threading.Event) -> None:
        """Tell the listeners of what other processes commit; returns when `over`, or at once where there are none."""

    def _hear_by_looking(self, over: threading.Event, mark: Callable[[], int], every_s: float) -> None:
        """As `_hear_others`, by looking whether a mark has moved."""
        seen: int | None = None
        while not over.wait(every_s):
            try:
                now = mark()
            except StoreError:  # who looks at the log is told why
                continue
            if now != seen:  # the first time, too: of what came before
                self._listeners.tell()
            seen = now

    def _wake(self) -> None:
        """Something was committed here."""
        self._listeners.tell()
        with self._changed:
            self._commits += 1
            self._changed.notify_all()

    def _end_waiting(self) -> None:
        """The store is closed from here on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._ear is not None:
                self._ear.set()
