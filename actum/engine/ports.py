"""What the runtime takes from outside: the time, chance, ids, and who else is alive. Tests bring their own."""

from __future__ import annotations

import fcntl
import os
import random
import time
from pathlib import Path
from typing import Protocol

from actum.events import uuid7, uuid7s

__all__ = ["Alone", "FileOwners", "Owners", "World"]


class World:
    """The clock, chance and ids of this machine. Subclass it to make a world that is under control."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000

    def chance(self) -> float:
        """A draw from [0, 1)."""
        return random.random()

    def new_id(self) -> str:
        """An id that nobody has: UUIDv7."""
        return uuid7(time.time_ns() // 1000, random.getrandbits(62))

    def new_ids(self, count: int) -> list[str]:
        """So many ids that nobody has."""
        return uuid7s(time.time_ns() // 1000, [random.getrandbits(62) for _ in range(count)])


class Owners(Protocol):
    """Who is alive among the workers of a store."""

    def hold(self, worker: str) -> None:
        """Be seen as alive from now on, until `release` or the end of the process."""

    def release(self, worker: str) -> None: ...

    def alive(self, worker: str) -> bool:
        """Whether that worker's process is there. A dead one counts as alive for one lease at most."""


class Alone:
    """For a store that only this process can reach."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def hold(self, worker: str) -> None:
        self._held.add(worker)

    def release(self, worker: str) -> None:
        self._held.discard(worker)

    def alive(self, worker: str) -> bool:
        return worker in self._held


class FileOwners:
    """For an embedded store: each worker holds a lock on a file of its own beside the store.

    The operating system lets go of the lock when the process dies, however it dies, so nothing has to time out.
    """

    def __init__(self, store: Path) -> None:
        self._folder = store.with_name(store.name + ".workers")
        self._held: dict[str, int] = {}

    def hold(self, worker: str) -> None:
        self._folder.mkdir(exist_ok=True)
        handle = os.open(self._folder / worker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._held[worker] = handle

    def release(self, worker: str) -> None:
        handle = self._held.pop(worker, None)
        if handle is not None:
            (self._folder / worker).unlink(missing_ok=True)
            os.close(handle)

    def alive(self, worker: str) -> bool:
        if worker in self._held:
            return True
        if not worker:
            return False
        try:
            handle = os.open(self._folder / worker, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:  # nobody holds it: what a dead worker left behind
            (self._folder / worker).unlink(missing_ok=True)
            return False
        finally:
            os.close(handle)
